#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "report.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define MU_ASAN 1
#else
#define MU_ASAN 0
#endif

#if defined(__x86_64__)
/* Saves what a call must preserve on this stack, and its top in *rdi; goes on where the stack with the top rsi stopped. */
asm(R"(
.text
.p2align 4
.globl muonium_emulator_switch
.hidden muonium_emulator_switch
.type muonium_emulator_switch, @function
muonium_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size muonium_emulator_switch, .-muonium_emulator_switch
)");
extern "C" void muonium_emulator_switch(void** save, void* load);
#endif

namespace muonium::emulator {
namespace {

constexpr size_t kStackBytes = MU_ASAN ? 256 * 1024 : 64 * 1024;

/* The fiber that starts now: its entry takes no argument. */
Fiber* starting = nullptr;

}  // namespace

void fiber_entry() {
  Fiber::run(starting);
}

Fiber::Fiber() {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  map_ = mmap(nullptr, kStackBytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map_ == MAP_FAILED || mprotect(map_, page, PROT_NONE) != 0) {
    report("no memory for the stack of a thread");
  }
  stack_ = static_cast<char*>(map_) + page;
}

Fiber::~Fiber() {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  munmap(map_, kStackBytes + page);
}

void Fiber::start(void (*entry)(void*), void* argument) {
  entry_ = entry;
  argument_ = argument;
  fiber_fake_stack_ = nullptr;
#if defined(__x86_64__)
  char* end = static_cast<char*>(stack_) + kStackBytes;
#if MU_ASAN
  /* Of the frames only those that were left by finish() still have their marks, from where it stopped to the stack's end. */
  if (fiber_top_ != nullptr) {
    __asan_unpoison_memory_region(fiber_top_, static_cast<size_t>(end - static_cast<char*>(fiber_top_)));
  }
#endif
  /* As a call would leave it: a return address below an address that is a multiple of 16, six registers below that. */
  void** top = reinterpret_cast<void**>(end);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&fiber_entry);
  for (int i = 0; i < 6; ++i) {
    *--top = nullptr;
  }
  fiber_top_ = top;
#else
#if MU_ASAN
  __asan_unpoison_memory_region(stack_, kStackBytes);
#endif
  getcontext(&fiber_context_);
  fiber_context_.uc_stack.ss_sp = stack_;
  fiber_context_.uc_stack.ss_size = kStackBytes;
  fiber_context_.uc_link = nullptr;
  makecontext(&fiber_context_, &fiber_entry, 0);
#endif
}

void Fiber::run(Fiber* self) {
#if MU_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &self->scheduler_stack_, &self->scheduler_stack_bytes_);
#endif
  self->entry_(self->argument_);
  self->finish();
}

void Fiber::resume() {
  starting = this;
#if MU_ASAN
  __sanitizer_start_switch_fiber(&scheduler_fake_stack_, stack_, kStackBytes);
#endif
#if defined(__x86_64__)
  muonium_emulator_switch(&scheduler_top_, fiber_top_);
#else
  swapcontext(&scheduler_context_, &fiber_context_);
#endif
#if MU_ASAN
  __sanitizer_finish_switch_fiber(scheduler_fake_stack_, nullptr, nullptr);
#endif
}

void Fiber::suspend() {
#if MU_ASAN
  __sanitizer_start_switch_fiber(&fiber_fake_stack_, scheduler_stack_, scheduler_stack_bytes_);
#endif
#if defined(__x86_64__)
  muonium_emulator_switch(&fiber_top_, scheduler_top_);
#else
  swapcontext(&fiber_context_, &scheduler_context_);
#endif
#if MU_ASAN
  __sanitizer_finish_switch_fiber(fiber_fake_stack_, &scheduler_stack_, &scheduler_stack_bytes_);
#endif
}

void Fiber::finish() {
#if MU_ASAN
  __sanitizer_start_switch_fiber(nullptr, scheduler_stack_, scheduler_stack_bytes_);
#endif
#if defined(__x86_64__)
  muonium_emulator_switch(&fiber_top_, scheduler_top_);
#else
  setcontext(&scheduler_context_);
#endif
  /* Never reached. Were that said by abort(), the compiler would know that finish() does not return, and before such a call
   * the address sanitizer clears the marks of the whole stack, which took half of the tests' time. */
}

}  // namespace muonium::emulator
