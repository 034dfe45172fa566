/*
 * guarded.h - an array that ends (or begins) flush against a page that cannot be touched: a kernel that reads or writes
 * one element too many crashes. The sanitizers do not see that in intrinsics' masked accesses; the processor does.
 */
#ifndef MUONIUM_TEST_GUARDED_H
#define MUONIUM_TEST_GUARDED_H

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
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
    void* map = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
      throw std::runtime_error("mmap failed");
    }
    base_ = static_cast<std::byte*>(map);
    if (mprotect(base_, page, PROT_NONE) != 0 || mprotect(base_ + page + inner, page, PROT_NONE) != 0) {
      throw std::runtime_error("mprotect failed");
    }
    std::byte* first = flush == Flush::kBegin ? base_ + page : base_ + page + inner - count * sizeof(T);
    data_ = reinterpret_cast<T*>(first);
  }

  Guarded(const std::vector<T>& values, Flush flush = Flush::kEnd) : Guarded(values.size(), flush) {
    if (!values.empty()) {
      std::memcpy(data_, values.data(), values.size() * sizeof(T));
    }
  }

  ~Guarded() { munmap(base_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return count_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  std::vector<T> values() const { return std::vector<T>(data_, data_ + count_); }

 private:
  std::size_t count_;
  std::size_t mapped_ = 0;
  std::byte* base_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace test

#endif
