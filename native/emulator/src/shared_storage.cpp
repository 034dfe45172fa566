#include "shared_storage.h"

#include <link.h>

#include "report.h"

namespace muonium::emulator {
namespace {

struct Search {
  const char* anchor;
  SharedStorage found;
};

int look(dl_phdr_info* info, size_t, void* given) {
  Search& search = *static_cast<Search*>(given);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    char* storage = static_cast<char*>(info->dlpi_tls_data);
    if (header.p_type == PT_TLS && storage != nullptr && search.anchor >= storage &&
        search.anchor < storage + header.p_memsz) {
      search.found = SharedStorage{storage, header.p_memsz};
      return 1;
    }
  }
  return 0;
}

}  // namespace

SharedStorage shared_storage(const Launch& launch) {
  /* Asking for the address also makes the storage, which is allocated at first use. */
  Search search = {static_cast<const char*>(launch.shared_anchor()), {nullptr, 0}};
  dl_iterate_phdr(look, &search);
  if (search.found.begin == nullptr) {
    report("the shared variables of a kernel's library were not found");
  }
  return search.found;
}

}  // namespace muonium::emulator
