/* fiber.h - a stack of its own, to switch to and back from: a thread of a block. */
#ifndef MUONIUM_EMULATOR_FIBER_H
#define MUONIUM_EMULATOR_FIBER_H

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace muonium::emulator {

class Fiber final {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /* Makes the next resume() call entry(argument), which must end in finish(). */
  void start(void (*entry)(void*), void* argument);
  /* From the scheduler: runs the fiber until it suspends or finishes. */
  void resume();
  /* From the fiber: back to the scheduler, until the next resume(). */
  void suspend();
  /* From the fiber: back to the scheduler for good. */
  void finish();

 private:
  static void run(Fiber* self);

  void* map_ = nullptr;
  void* stack_ = nullptr;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
#if defined(__x86_64__)
  void* fiber_top_ = nullptr;
  void* scheduler_top_ = nullptr;
#else
  ucontext_t fiber_context_;
  ucontext_t scheduler_context_;
#endif
  /* What the address sanitizer wants to know of a change of stacks. */
  void* scheduler_fake_stack_ = nullptr;
  void* fiber_fake_stack_ = nullptr;
  const void* scheduler_stack_ = nullptr;
  size_t scheduler_stack_bytes_ = 0;

  friend void fiber_entry();
};

}  // namespace muonium::emulator

#endif
