/* names.cpp - kernels are hidden symbols, so their names are read from the library's file. */
#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <vector>

#include "machine.h"

namespace muonium::emulator {
namespace {

using Symbols = std::map<uintptr_t, std::string>;

template <class T>
T at(const std::vector<char>& file, size_t offset) {
  T value = {};
  if (offset + sizeof value <= file.size()) {
    std::memcpy(&value, file.data() + offset, sizeof value);
  }
  return value;
}

Symbols read_symbols(const char* path) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> file((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  Symbols symbols;
  const auto header = at<ElfW(Ehdr)>(file, 0);
  for (size_t i = 0; i < header.e_shnum; ++i) {
    const auto section = at<ElfW(Shdr)>(file, header.e_shoff + i * sizeof(ElfW(Shdr)));
    if (section.sh_type != SHT_SYMTAB) {
      continue;
    }
    const auto strings = at<ElfW(Shdr)>(file, header.e_shoff + section.sh_link * sizeof(ElfW(Shdr)));
    for (size_t k = 0; k < section.sh_size / sizeof(ElfW(Sym)); ++k) {
      const auto symbol = at<ElfW(Sym)>(file, section.sh_offset + k * sizeof(ElfW(Sym)));
      const size_t name = strings.sh_offset + symbol.st_name;
      if ((symbol.st_info & 0xf) == STT_FUNC && name < file.size()) {
        symbols[symbol.st_value] = file.data() + name;
      }
    }
  }
  return symbols;
}

/* "void muonium::cuda::(anonymous namespace)::scale<float>(float*)" becomes "scale". */
std::string plain(const std::string& mangled) {
  int status = 0;
  char* text = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
  std::string name = text != nullptr ? text : mangled;
  std::free(text);
  const std::string unnamed = "(anonymous namespace)";
  for (size_t found = name.find(unnamed); found != std::string::npos; found = name.find(unnamed)) {
    name.erase(found, unnamed.size());
  }
  name = name.substr(0, name.find_first_of("<("));
  const size_t begin = name.find_last_of(": ");
  return begin == std::string::npos ? name : name.substr(begin + 1);
}

}  // namespace

std::string kernel_name(const void* function) {
  static std::map<const void*, std::string> known;
  static std::map<std::string, Symbols> libraries;
  const auto found = known.find(function);
  if (found != known.end()) {
    return found->second;
  }
  Dl_info info = {};
  if (dladdr(function, &info) == 0 || info.dli_fname == nullptr) {
    return "kernel";
  }
  const auto library = libraries.find(info.dli_fname);
  const Symbols& symbols =
      library != libraries.end() ? library->second : (libraries[info.dli_fname] = read_symbols(info.dli_fname));
  uintptr_t address = reinterpret_cast<uintptr_t>(function) - reinterpret_cast<uintptr_t>(info.dli_fbase);
  auto symbol = symbols.find(address);
  if (symbol == symbols.end()) {
    /* A program that is not position-independent. */
    symbol = symbols.find(reinterpret_cast<uintptr_t>(function));
  }
  return known[function] = symbol == symbols.end() ? "kernel" : plain(symbol->second);
}

}  // namespace muonium::emulator
