/*
 * emulated_warp.h - what the 32 lanes of a warp do together. Each lane leaves its operands and waits; when the last has
 * come, the operation is done for all. Lanes that wait at different places, and lanes that never come, end the process
 * with a message. Layouts: see cuda/mma.h, which has the same functions in PTX.
 */
#ifndef MUONIUM_EMULATED_WARP_H
#define MUONIUM_EMULATED_WARP_H

#include "emulated_language.h"

namespace muonium::emulator {

inline constexpr int kLanes = 32;

struct Site {
  const char* what;
  const char* file;
  int line;
};

/* Waits for all lanes of the warp at the same site; `perform` runs once, on what every lane gave as `mine`. */
MU_EMULATOR_API void warp_collective(const Site& site, void* mine, void (*perform)(void* const (&lanes)[kLanes]));

template <class T>
struct Shuffle {
  T value;
  T result;
  int source;
};

template <class T>
void perform_shuffle(void* const (&lanes)[kLanes]) {
  for (int i = 0; i < kLanes; ++i) {
    Shuffle<T>& mine = *static_cast<Shuffle<T>*>(lanes[i]);
    mine.result = static_cast<const Shuffle<T>*>(lanes[mine.source])->value;
  }
}

template <class T>
T exchange(const Site& site, T value, int source) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 32 or 64 bits");
  Shuffle<T> mine = {value, value, source};
  warp_collective(site, &mine, perform_shuffle<T>);
  return mine.result;
}

inline int lane() {
  const BlockView& block = *current->block;
  const unsigned flat = (current->index.z * block.size.y + current->index.y) * block.size.x + current->index.x;
  return static_cast<int>(flat % kLanes);
}

template <class T>
T shuffle_xor(T value, int mask, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return exchange(Site{"shuffle_xor", file, line}, value, (lane() ^ mask) & (kLanes - 1));
}

template <class T>
T shuffle_down(T value, unsigned delta, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const unsigned source = static_cast<unsigned>(lane()) + delta;
  return exchange(Site{"shuffle_down", file, line}, value, source < kLanes ? static_cast<int>(source) : lane());
}

template <class T>
T shuffle(T value, int source, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return exchange(Site{"shuffle", file, line}, value, source & (kLanes - 1));
}

MU_EMULATOR_API uint32_t ballot(bool predicate, const char* file = __builtin_FILE(), int line = __builtin_LINE());
MU_EMULATOR_API bool any(bool predicate, const char* file = __builtin_FILE(), int line = __builtin_LINE());
MU_EMULATOR_API uint32_t reduce_max(uint32_t value, const char* file = __builtin_FILE(), int line = __builtin_LINE());

/*
 * The 16 products and the addend are summed up in double and rounded once; the hardware rounds in an order of its own,
 * so kernels are compared with tolerances that fit FP32 sums.
 */
MU_EMULATOR_API void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                              const char* file = __builtin_FILE(), int line = __builtin_LINE());

MU_EMULATOR_API void ldmatrix_x4(uint32_t (&r)[4], const void* shared_row, const char* file = __builtin_FILE(),
                                 int line = __builtin_LINE());
MU_EMULATOR_API void ldmatrix_x4_trans(uint32_t (&r)[4], const void* shared_row, const char* file = __builtin_FILE(),
                                       int line = __builtin_LINE());
MU_EMULATOR_API void ldmatrix_x2(uint32_t (&r)[2], const void* shared_row, const char* file = __builtin_FILE(),
                                 int line = __builtin_LINE());
MU_EMULATOR_API void ldmatrix_x2_trans(uint32_t (&r)[2], const void* shared_row, const char* file = __builtin_FILE(),
                                       int line = __builtin_LINE());

/*
 * The 16 bytes become garbage at once and what they should be only in copy_async_wait, the latest moment that the device
 * has: a missing wait shows, and so does a copy into what others still read.
 */
MU_EMULATOR_API void copy_async16(void* shared, const void* global, bool valid);
MU_EMULATOR_API void copy_async_commit();
MU_EMULATOR_API void copy_async_wait(int groups);

MU_EMULATOR_API uint32_t pack_bf16(float lo, float hi);

}  // namespace muonium::emulator

#endif
