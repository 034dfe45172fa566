/*
 * guarded.h - an array that ends (or begins) flush against a page that cannot be touched: a kernel that reads or writes
 * one element too many crashes. The sanitizers do not see that in intrinsics' masked accesses; the processor does.
 */
#ifndef MUONIUM_TEST_GUARDED_H
#define MUONIUM_TEST_GUARDED_H

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace test {

enum class Flush { kEnd, kBegin };

template <class T>
class Guarded final {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit Guarded(std::size_t count, Flush flush = Flush::kEnd) : count_(count) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t inner = (count * sizeof(T) + page - 1) / page * page;
    mapped_ = inner + 2 * page;
    base_ = take(mapped_);
    std::byte* first = flush == Flush::kBegin ? base_ + page : base_ + page + inner - count * sizeof(T);
    data_ = reinterpret_cast<T*>(first);
  }

  Guarded(const std::vector<T>& values, Flush flush = Flush::kEnd) : Guarded(values.size(), flush) {
    if (!values.empty()) {
      std::memcpy(data_, values.data(), values.size() * sizeof(T));
    }
  }

  ~Guarded() {
    ASAN_POISON_MEMORY_REGION(base_, mapped_); /* nobody may touch it until it is taken again */
    kept()[mapped_].push_back(base_);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return count_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  std::vector<T> values() const { return std::vector<T>(data_, data_ + count_); }

 private:
  /* Maps are taken again when their arrays are gone: the system's part was most of the time of small cases. Tests have one thread. */
  static std::map<std::size_t, std::vector<std::byte*>>& kept() {
    static std::map<std::size_t, std::vector<std::byte*>> free;
    return free;
  }

  static std::byte* take(std::size_t bytes) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    std::vector<std::byte*>& free = kept()[bytes];
    if (!free.empty()) {
      std::byte* base = free.back();
      free.pop_back();
      ASAN_UNPOISON_MEMORY_REGION(base, bytes);
      std::memset(base + page, 0, bytes - 2 * page);
      return base;
    }
    void* map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
      throw std::runtime_error("mmap failed");
    }
    std::byte* base = static_cast<std::byte*>(map);
    if (mprotect(base, page, PROT_NONE) != 0 || mprotect(base + bytes - page, page, PROT_NONE) != 0) {
      throw std::runtime_error("mprotect failed");
    }
    return base;
  }

  std::size_t count_;
  std::size_t mapped_ = 0;
  std::byte* base_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace test

#endif
