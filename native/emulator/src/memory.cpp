/*
 * memory.cpp - device memory: one region of addresses per device, unreadable unless work runs, with a strip around every
 * allocation that no kernel may touch.
 */
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "machine.h"
#include "report.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define MU_POISON(p, n) __asan_poison_memory_region(p, n)
#define MU_UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#define MU_POISON(p, n) static_cast<void>(0)
#define MU_UNPOISON(p, n) static_cast<void>(0)
#endif

namespace muonium::emulator {
namespace {

/* CUDA aligns to 256; so is what is taken from the device's memory. */
constexpr size_t kAlignment = 256;
constexpr size_t kRedzone = 256;
constexpr int kRedzoneByte = 0xfd;
/* What was never written reads as NaN. Of large allocations only both ends are filled: the rest would cost real memory, and most are a
 * BLAS library's workspace, whose filling took two thirds of the time of some tests. */
constexpr int kGarbage = 0xff;
constexpr size_t kFillAll = size_t{2} << 20;
constexpr size_t kFillEnds = size_t{64} << 10;

size_t rounded(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

void fill(char* memory, size_t bytes) {
  if (bytes <= kFillAll) {
    std::memset(memory, kGarbage, bytes);
  } else {
    std::memset(memory, kGarbage, kFillEnds);
    std::memset(memory + bytes - kFillEnds, kGarbage, kFillEnds);
  }
}

/* The pages that lie within a range of more than one page. Those at its ends hold somebody else's memory as well, which madvise would
 * take along: it rounds the end up. */
struct Pages {
  char* begin;
  char* end;

  size_t bytes() const { return static_cast<size_t>(end - begin); }
};

Pages pages_within(char* begin, char* end) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t before = (page - reinterpret_cast<uintptr_t>(begin) % page) % page;
  const uintptr_t after = reinterpret_cast<uintptr_t>(end) % page;
  return {begin + before, end - after};
}

void protect(int access) {
  for (const auto& device : machine().devices) {
    if (device->high_water != 0 && mprotect(device->region, device->high_water, access) != 0) {
      report("the protection of the device's memory cannot be changed");
    }
  }
}

bool intact(const char* begin, const char* end) {
  for (const char* p = begin; p < end; ++p) {
    if (*p != static_cast<char>(kRedzoneByte)) {
      return false;
    }
  }
  return true;
}

void check_strips(const char* memory, size_t bytes) {
  MU_UNPOISON(memory - kRedzone, kRedzone);
  MU_UNPOISON(memory + bytes, rounded(bytes) - bytes + kRedzone);
  if (!intact(memory - kRedzone, memory)) {
    report("something wrote before the beginning of the %zu bytes at %p", bytes, static_cast<const void*>(memory));
  }
  if (!intact(memory + bytes, memory + rounded(bytes) + kRedzone)) {
    report("something wrote past the end of the %zu bytes at %p", bytes, static_cast<const void*>(memory));
  }
}

/* The first that is large enough. */
char* take(Device& device, size_t bytes) {
  for (auto it = device.free.begin(); it != device.free.end(); ++it) {
    if (it->second >= bytes) {
      char* begin = it->first;
      const size_t rest = it->second - bytes;
      device.free.erase(it);
      if (rest != 0) {
        device.free[begin + bytes] = rest;
      }
      return begin;
    }
  }
  return nullptr;
}

void give_back(Device& device, char* begin, size_t bytes) {
  auto it = device.free.emplace(begin, bytes).first;
  const auto next = std::next(it);
  if (next != device.free.end() && it->first + it->second == next->first) {
    it->second += next->second;
    device.free.erase(next);
  }
  if (it != device.free.begin()) {
    const auto before = std::prev(it);
    if (before->first + before->second == it->first) {
      before->second += it->second;
      device.free.erase(it);
    }
  }
}

/* Opens more of the region while a window is open. */
void raise_high_water(Device& device, const char* end) {
  constexpr size_t kStep = size_t{16} << 20;
  const size_t needed = (static_cast<size_t>(end - device.region) + kStep - 1) / kStep * kStep;
  if (needed > device.high_water) {
    const size_t fresh = needed < device.region_bytes ? needed : device.region_bytes;
    if (mprotect(device.region + device.high_water, fresh - device.high_water, PROT_READ | PROT_WRITE) != 0) {
      report("no memory for the device's memory");
    }
    device.high_water = fresh;
  }
}

}  // namespace

void start_device(Device& device, size_t memory_bytes) {
  device.memory_bytes = memory_bytes;
  /* Addresses for the strips and the gaps too. */
  device.region_bytes = 2 * memory_bytes + (size_t{64} << 20);
  void* region = mmap(nullptr, device.region_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) {
    report("no addresses for a device's memory of %zu bytes", device.region_bytes);
  }
  device.region = static_cast<char*>(region);
  device.free[device.region] = device.region_bytes;
}

Window::Window() {
  if (machine().windows++ == 0) {
    protect(PROT_READ | PROT_WRITE);
  }
}

Window::~Window() {
  if (--machine().windows == 0) {
    protect(PROT_NONE);
  }
}

cudaError_t allocate(int ordinal, size_t bytes, cudaMemPool_t pool, void** memory) {
  Device& device = *machine().devices[static_cast<size_t>(ordinal)];
  const size_t counted = rounded(bytes);
  if (counted > device.memory_bytes - device.used) {
    /* What frees may wait in the streams. */
    run_device(ordinal);
  }
  if (counted > device.memory_bytes - device.used) {
    return cudaErrorMemoryAllocation;
  }
  char* begin = take(device, counted + 2 * kRedzone);
  if (begin == nullptr) {
    return cudaErrorMemoryAllocation;
  }
  const Window window;
  raise_high_water(device, begin + counted + 2 * kRedzone);
  MU_UNPOISON(begin, counted + 2 * kRedzone);
  char* given = begin + kRedzone;
  std::memset(begin, kRedzoneByte, kRedzone);
  fill(given, bytes);
  std::memset(given + bytes, kRedzoneByte, counted - bytes + kRedzone);
  MU_POISON(begin, kRedzone);
  MU_POISON(given + bytes, counted - bytes + kRedzone);
  device.live[given] = Allocation{bytes, pool};
  device.used += counted;
  ++machine().allocations;
  if (pool != nullptr) {
    pool->used += counted;
    pool->used_high = pool->used > pool->used_high ? pool->used : pool->used_high;
    pool->reserved_high = pool->used_high;
  }
  *memory = given;
  return cudaSuccess;
}

bool release(void* memory) {
  const int ordinal = device_of(memory);
  if (ordinal < 0) {
    return false;
  }
  Device& device = *machine().devices[static_cast<size_t>(ordinal)];
  const auto it = device.live.find(static_cast<char*>(memory));
  if (it == device.live.end()) {
    return false;
  }
  const size_t bytes = it->second.bytes;
  const Window window;
  check_strips(it->first, bytes);
  fill(it->first, bytes);
  device.used -= rounded(bytes);
  if (it->second.pool != nullptr) {
    it->second.pool->used -= rounded(bytes);
  }
  char* begin = it->first - kRedzone;
  device.live.erase(it);
  if (bytes > kFillAll) {
    const Pages pages = pages_within(begin, begin + rounded(bytes) + 2 * kRedzone);
    madvise(pages.begin, pages.bytes(), MADV_DONTNEED);
  }
  MU_POISON(begin, rounded(bytes) + 2 * kRedzone);
  give_back(device, begin, rounded(bytes) + 2 * kRedzone);
  return true;
}

void clear(void* memory, size_t bytes) {
  char* begin = static_cast<char*>(memory);
  char* end = begin + bytes;
  const Pages pages = pages_within(begin, end);
  /* Pages that are given back are zeros, and cost nothing until they are used. */
  if (bytes <= kFillAll || madvise(pages.begin, pages.bytes(), MADV_DONTNEED) != 0) {
    std::memset(begin, 0, bytes);
    return;
  }
  std::memset(begin, 0, static_cast<size_t>(pages.begin - begin));
  std::memset(pages.end, 0, static_cast<size_t>(end - pages.end));
}

int device_of(const void* address) {
  const char* p = static_cast<const char*>(address);
  const auto& devices = machine().devices;
  for (size_t i = 0; i < devices.size(); ++i) {
    if (p >= devices[i]->region && p < devices[i]->region + devices[i]->region_bytes) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

bool is_live(const void* address, size_t bytes) {
  const int ordinal = device_of(address);
  if (ordinal < 0) {
    return false;
  }
  char* p = static_cast<char*>(const_cast<void*>(address));
  const auto& live = machine().devices[static_cast<size_t>(ordinal)]->live;
  auto it = live.upper_bound(p);
  if (it == live.begin()) {
    return false;
  }
  --it;
  return static_cast<size_t>(p - it->first) + bytes <= it->second.bytes;
}

bool may_use_host_pointers() {
  return machine().allow_host_pointers;
}

bool is_pinned(const void* address, size_t bytes) {
  char* p = static_cast<char*>(const_cast<void*>(address));
  const auto& host = machine().host;
  auto it = host.upper_bound(p);
  if (it == host.begin()) {
    return false;
  }
  --it;
  return static_cast<size_t>(p - it->first) + bytes <= it->second.bytes;
}

void check_redzones() {
#if !defined(__SANITIZE_ADDRESS__)
  const Window window;
  for (const auto& device : machine().devices) {
    for (const auto& [memory, allocation] : device->live) {
      check_strips(memory, allocation.bytes);
    }
  }
#endif
}

}  // namespace muonium::emulator
