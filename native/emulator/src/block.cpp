#include "block.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "emulated_warp.h"
#include "fiber.h"
#include "report.h"
#include "shared_storage.h"

namespace muonium::emulator {

ThreadView* current = nullptr;

namespace {

enum class Standing { kRunnable, kAtWarp, kAtBlock, kDone };

struct PendingCopy {
  void* shared;
  const void* global;
  bool valid;
};

struct Thread {
  ThreadView view;  // first: `current` points to it
  Standing standing;
  Site site;
  void* mine;
  int predicate;
  std::vector<PendingCopy> copies;
  std::vector<size_t> groups;  // the number of copies in each committed group that is not complete
  size_t uncommitted;
  Fiber fiber;
};

struct Warp {
  int waiting;
  int done;
  Site site;       // where the first of the waiting lanes is
  unsigned first;  // and which it is
};

bool same_place(const Site& a, const Site& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0) &&
         (a.what == b.what || std::strcmp(a.what, b.what) == 0);
}

/* Pseudo-random numbers for the order of threads: splitmix64. */
struct Dice {
  uint64_t state;
  uint64_t roll() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  size_t below(size_t n) { return static_cast<size_t>(roll() % n); }
};

/* In order; any; the latest first, which lets the last warp run ahead of the others as far as it can. */
enum class Order { kInOrder, kAny, kLatestFirst };

class Multiprocessor final {
 public:
  void run(const Launch& launch, const char* name);
  void warp_collective(const Site& site, void* mine, void (*perform)(void* const (&lanes)[kLanes]));
  int block_barrier(const Site& site, int predicate);
  void* dynamic_shared() const { return dynamic_shared_; }
  const char* kernel() const { return kernel_; }
  void describe_waiting() const;
  Thread& running() const { return *reinterpret_cast<Thread*>(current); }

 private:
  void run_block(uint3 index);
  void thread_body(Thread& thread);
  void make_runnable(Thread& thread);
  Thread& choose();
  void check_exit(const Thread& thread) const;
  unsigned number_of(const Thread& thread) const {
    return (thread.view.index.z * view_.size.y + thread.view.index.y) * view_.size.x + thread.view.index.x;
  }
  void give_dynamic_shared(size_t bytes);

  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Warp> warps_;
  std::vector<Thread*> runnable_;
  size_t next_ = 0;
  BlockView view_ = {};
  const Launch* launch_ = nullptr;
  const char* kernel_ = nullptr;
  unsigned count_ = 0;
  unsigned at_block_ = 0;
  unsigned done_ = 0;
  int barrier_sum_ = 0;
  Site barrier_site_ = {};
  unsigned barrier_first_ = 0;
  SharedStorage shared_storage_ = {};
  Order order_ = Order::kInOrder;
  Dice dice_ = {0};
  uint64_t launches_ = 0;
  char* shared_map_ = nullptr;
  size_t shared_capacity_ = 0;
  void* dynamic_shared_ = nullptr;
  size_t dynamic_bytes_ = 0;

  static void enter(void* thread);
};

Multiprocessor& multiprocessor() {
  static Multiprocessor* const the_one = new Multiprocessor;
  return *the_one;
}

uint64_t seed() {
  const char* text = std::getenv("MU_EMULATOR_SEED");
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

void Multiprocessor::enter(void* thread) {
  multiprocessor().thread_body(*static_cast<Thread*>(thread));
}

void Multiprocessor::thread_body(Thread& thread) {
  launch_->body();
  thread.standing = Standing::kDone;
  ++done_;
  ++warps_[number_of(thread) / kLanes].done;
  check_exit(thread);
}

void Multiprocessor::check_exit(const Thread& thread) const {
  if (at_block_ != 0) {
    report("this thread returned while %u threads of its block wait at a barrier", at_block_);
  }
  if (warps_[number_of(thread) / kLanes].waiting != 0) {
    report("this thread returned while lanes of its warp wait for it");
  }
}

void Multiprocessor::make_runnable(Thread& thread) {
  thread.standing = Standing::kRunnable;
  runnable_.push_back(&thread);
}

Thread& Multiprocessor::choose() {
  Thread* chosen = runnable_[next_];
  if (order_ == Order::kLatestFirst) {
    chosen = runnable_.back();
    runnable_.pop_back();
  } else {
    if (order_ == Order::kAny) {
      std::swap(runnable_[next_], runnable_[next_ + dice_.below(runnable_.size() - next_)]);
      chosen = runnable_[next_];
    }
    ++next_;
  }
  if (next_ == runnable_.size()) {
    runnable_.clear();
    next_ = 0;
  }
  return *chosen;
}

void Multiprocessor::warp_collective(const Site& site, void* mine, void (*perform)(void* const (&lanes)[kLanes])) {
  Thread& thread = running();
  const unsigned number = number_of(thread);
  const unsigned first = number / kLanes * kLanes;
  if (first + kLanes > count_) {
    report("%s at %s:%d in a warp of %u lanes: the block's size is not a multiple of 32", site.what, site.file,
           site.line, count_ - first);
  }
  Warp& warp = warps_[number / kLanes];
  if (warp.done != 0) {
    report("%s at %s:%d, but %d lanes of this warp have returned", site.what, site.file, site.line, warp.done);
  }
  thread.standing = Standing::kAtWarp;
  thread.site = site;
  thread.mine = mine;
  if (warp.waiting == 0) {
    warp.site = site;
    warp.first = number % kLanes;
  } else if (!same_place(warp.site, site)) {
    report("the lanes of this warp diverge: this one is at %s (%s:%d), lane %u at %s (%s:%d)", site.what, site.file,
           site.line, warp.first, warp.site.what, warp.site.file, warp.site.line);
  }
  ++warp.waiting;
  if (warp.waiting == kLanes) {
    void* lanes[kLanes];
    for (unsigned i = 0; i < kLanes; ++i) {
      lanes[i] = threads_[first + i]->mine;
    }
    if (perform != nullptr) {
      perform(lanes);
    }
    warp.waiting = 0;
    for (unsigned i = 0; i < kLanes; ++i) {
      make_runnable(*threads_[first + i]);
    }
  }
  thread.fiber.suspend();
}

int Multiprocessor::block_barrier(const Site& site, int predicate) {
  Thread& thread = running();
  if (done_ != 0) {
    report("a barrier at %s:%d, but %u threads of this block have returned", site.file, site.line, done_);
  }
  thread.standing = Standing::kAtBlock;
  thread.site = site;
  if (at_block_ == 0) {
    barrier_sum_ = 0;
    barrier_site_ = site;
    barrier_first_ = number_of(thread);
  } else if (!same_place(barrier_site_, site)) {
    report("the threads of this block diverge: this one is at the barrier %s:%d, thread %u at %s:%d", site.file,
           site.line, barrier_first_, barrier_site_.file, barrier_site_.line);
  }
  barrier_sum_ += predicate != 0 ? 1 : 0;
  ++at_block_;
  if (at_block_ == count_) {
    at_block_ = 0;
    for (unsigned i = 0; i < count_; ++i) {
      threads_[i]->predicate = barrier_sum_;
      make_runnable(*threads_[i]);
    }
  }
  thread.fiber.suspend();
  return thread.predicate;
}

void Multiprocessor::describe_waiting() const {
  unsigned shown = 0;
  for (unsigned i = 0; i < count_ && shown < 8; ++i) {
    const Thread& thread = *threads_[i];
    if (thread.standing == Standing::kAtWarp || thread.standing == Standing::kAtBlock) {
      std::fprintf(stderr, "  thread %u waits at %s (%s:%d)\n", i, thread.site.what, thread.site.file,
                   thread.site.line);
      ++shown;
    }
  }
}

void Multiprocessor::run_block(uint3 index) {
  view_.index = index;
  std::memset(dynamic_shared_, 0xff, dynamic_bytes_);
  std::memset(shared_storage_.begin, 0xff, shared_storage_.bytes);
  warps_.assign((count_ + kLanes - 1) / kLanes, Warp{});
  runnable_.clear();
  next_ = 0;
  at_block_ = 0;
  done_ = 0;
  unsigned number = 0;
  for (unsigned z = 0; z < view_.size.z; ++z) {
    for (unsigned y = 0; y < view_.size.y; ++y) {
      for (unsigned x = 0; x < view_.size.x; ++x, ++number) {
        Thread& thread = *threads_[number];
        thread.view = ThreadView{uint3{x, y, z}, &view_};
        thread.copies.clear();
        thread.groups.clear();
        thread.uncommitted = 0;
        thread.fiber.start(&Multiprocessor::enter, &thread);
        make_runnable(thread);
      }
    }
  }
  while (next_ < runnable_.size()) {
    Thread& thread = choose();
    current = &thread.view;
    thread.fiber.resume();
  }
  if (done_ != count_) {
    current = &threads_[0]->view;
    report("deadlock: %u of %u threads of this block have returned, the others wait", done_, count_);
  }
  current = nullptr;
}

void Multiprocessor::give_dynamic_shared(size_t bytes) {
  /* Ends flush against a page that cannot be touched; a multiple of 16 stays aligned. */
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t rounded = (bytes + 15) / 16 * 16;
  if (shared_map_ == nullptr || rounded > shared_capacity_) {
    if (shared_map_ != nullptr) {
      munmap(shared_map_, shared_capacity_ + page);
    }
    shared_capacity_ = (rounded + page) / page * page;
    void* map = mmap(nullptr, shared_capacity_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(static_cast<char*>(map) + shared_capacity_, page, PROT_NONE) != 0) {
      report("no memory for the shared memory of a block");
    }
    shared_map_ = static_cast<char*>(map);
  }
  dynamic_shared_ = shared_map_ + shared_capacity_ - rounded;
  dynamic_bytes_ = rounded;
}

void Multiprocessor::run(const Launch& launch, const char* name) {
  launch_ = &launch;
  kernel_ = name;
  count_ = launch.block.x * launch.block.y * launch.block.z;
  view_.size = launch.block;
  view_.grid = launch.grid;
  while (threads_.size() < count_) {
    threads_.push_back(std::make_unique<Thread>());
  }
  for (const auto& thread : threads_) {
    thread->standing = Standing::kDone;
  }
  give_dynamic_shared(launch.shared_bytes);
  shared_storage_ = shared_storage(launch);
  const uint64_t given = seed();
  const uint64_t blocks = static_cast<uint64_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
  dice_ = Dice{given * 0x9e3779b97f4a7c15u + launches_};
  ++launches_;
  /* With a seed the blocks begin somewhere and go on with a stride that meets each once. */
  const uint64_t first = given == 0 ? 0 : dice_.roll() % blocks;
  for (uint64_t i = 0; i < blocks; ++i) {
    const bool backwards = (given & 1u) != 0;
    const uint64_t at = (backwards ? first + blocks - i : first + i) % blocks;
    order_ = given == 0 ? Order::kInOrder : (dice_.below(2) == 0 ? Order::kAny : Order::kLatestFirst);
    const uint64_t plane = static_cast<uint64_t>(launch.grid.x) * launch.grid.y;
    run_block(uint3{static_cast<unsigned>(at % launch.grid.x), static_cast<unsigned>(at % plane / launch.grid.x),
                    static_cast<unsigned>(at / plane)});
  }
  kernel_ = nullptr;
  launch_ = nullptr;
}

}  // namespace

void run_grid(const Launch& launch, const char* name) {
  multiprocessor().run(launch, name);
}

const char* running_kernel() {
  return multiprocessor().kernel();
}

void report(const char* format, ...) {
  char text[1024];
  va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof text, format, values);
  va_end(values);
  std::fprintf(stderr, "emulator: %s\n", text);
  if (current != nullptr) {
    const uint3 t = current->index;
    const uint3 b = current->block->index;
    std::fprintf(stderr, "  in kernel %s, block (%u, %u, %u), thread (%u, %u, %u)\n",
                 running_kernel() != nullptr ? running_kernel() : "?", b.x, b.y, b.z, t.x, t.y, t.z);
    multiprocessor().describe_waiting();
  }
  std::fflush(stderr);
  std::abort();
}

void block_barrier(const char* file, int line) {
  multiprocessor().block_barrier(Site{"__syncthreads", file, line}, 0);
}

int block_barrier_count(int predicate, const char* file, int line) {
  return multiprocessor().block_barrier(Site{"__syncthreads_count", file, line}, predicate);
}

void warp_barrier(const char* file, int line) {
  multiprocessor().warp_collective(Site{"__syncwarp", file, line}, nullptr, nullptr);
}

void warp_collective(const Site& site, void* mine, void (*perform)(void* const (&lanes)[kLanes])) {
  multiprocessor().warp_collective(site, mine, perform);
}

void* dynamic_shared() {
  return multiprocessor().dynamic_shared();
}

void check_aligned(const void* p, size_t bytes, const char* what) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) {
    report("%s of the address %p, which is not a multiple of %zu", what, p, bytes);
  }
}

void copy_async16(void* shared, const void* global, bool valid) {
  check_aligned(shared, 16, "copy_async16 to");
  if (valid) {
    check_aligned(global, 16, "copy_async16 from");
  }
  std::memset(shared, 0xff, 16);
  Thread& thread = multiprocessor().running();
  thread.copies.push_back(PendingCopy{shared, global, valid});
  ++thread.uncommitted;
}

void copy_async_commit() {
  Thread& thread = multiprocessor().running();
  thread.groups.push_back(thread.uncommitted);
  thread.uncommitted = 0;
}

void copy_async_wait(int groups) {
  Thread& thread = multiprocessor().running();
  size_t copies = 0;
  while (thread.groups.size() > static_cast<size_t>(groups)) {
    copies += thread.groups.front();
    thread.groups.erase(thread.groups.begin());
  }
  for (size_t i = 0; i < copies; ++i) {
    const PendingCopy& copy = thread.copies[i];
    if (copy.valid) {
      std::memcpy(copy.shared, copy.global, 16);
    } else {
      std::memset(copy.shared, 0, 16);
    }
  }
  thread.copies.erase(thread.copies.begin(), thread.copies.begin() + static_cast<std::ptrdiff_t>(copies));
}

}  // namespace muonium::emulator
