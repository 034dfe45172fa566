/*
 * emulated_language.h - CUDA's words for the C++ compiler: qualifiers, built-in variables, vector types, barriers,
 * intrinsics. What is not here a kernel cannot use, so that it is added here with a meaning, not by accident.
 */
#ifndef MUONIUM_EMULATED_LANGUAGE_H
#define MUONIUM_EMULATED_LANGUAGE_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define MU_EMULATOR_API __attribute__((visibility("default")))

#define __global__ __attribute__((unused))
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline, unused))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
/*
 * A block runs on one thread of the operating system, so thread-local storage is the block's. The linker puts all of a
 * library's into one piece, which the emulator fills with garbage before every block: a library of kernels has no other.
 */
#define __shared__ static thread_local

/* --- vector types --------------------------------------------------------------------------------------------- */

#define MU_VECTOR_2(name, type, bytes)             \
  struct __attribute__((aligned(bytes))) name {    \
    type x, y;                                     \
  };                                               \
  inline name make_##name(type x, type y) {        \
    return name{x, y};                             \
  }
#define MU_VECTOR_4(name, type, bytes)                         \
  struct __attribute__((aligned(bytes))) name {                \
    type x, y, z, w;                                           \
  };                                                           \
  inline name make_##name(type x, type y, type z, type w) {    \
    return name{x, y, z, w};                                   \
  }
MU_VECTOR_2(int2, int, 8)
MU_VECTOR_2(uint2, unsigned, 8)
MU_VECTOR_2(float2, float, 8)
MU_VECTOR_2(double2, double, 16)
MU_VECTOR_2(ushort2, unsigned short, 4)
MU_VECTOR_2(ulonglong2, unsigned long long, 16)
MU_VECTOR_4(char4, signed char, 4)
MU_VECTOR_4(uchar4, unsigned char, 4)
MU_VECTOR_4(ushort4, unsigned short, 8)
MU_VECTOR_4(int4, int, 16)
MU_VECTOR_4(uint4, unsigned, 16)
MU_VECTOR_4(float4, float, 16)
#undef MU_VECTOR_2
#undef MU_VECTOR_4

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

/* --- built-in variables and barriers ------------------------------------------------------------------------------ */

namespace muonium::emulator {

struct BlockView {
  uint3 index;
  dim3 size;
  dim3 grid;
};

struct ThreadView {
  uint3 index;
  const BlockView* block;
};

/* The thread that runs now; one at a time. */
extern MU_EMULATOR_API ThreadView* current;

MU_EMULATOR_API void block_barrier(const char* file, int line);
/* The number of threads of the block whose predicate is not 0. */
MU_EMULATOR_API int block_barrier_count(int predicate, const char* file, int line);
MU_EMULATOR_API void warp_barrier(const char* file, int line);
MU_EMULATOR_API void* dynamic_shared();
/* Ends the process with a message unless p is a multiple of bytes: the device faults there. */
MU_EMULATOR_API void check_aligned(const void* p, size_t bytes, const char* what);

}  // namespace muonium::emulator

#define threadIdx (::muonium::emulator::current->index)
#define blockIdx (::muonium::emulator::current->block->index)
#define blockDim (::muonium::emulator::current->block->size)
#define gridDim (::muonium::emulator::current->block->grid)
#define warpSize 32
#define __syncthreads() ::muonium::emulator::block_barrier(__FILE__, __LINE__)
#define __syncthreads_count(predicate) ::muonium::emulator::block_barrier_count((predicate), __FILE__, __LINE__)
#define __syncthreads_or(predicate) (__syncthreads_count(predicate) != 0)
#define __syncwarp(...) ::muonium::emulator::warp_barrier(__FILE__, __LINE__)

/* Blocks run one after the other and threads change only at barriers, so fences and atomics are plain. */
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T>
inline T atomicAdd(T* address, T value) {
  const T old = *address;
  *address = static_cast<T>(old + value);
  return old;
}
template <class T>
inline T atomicMax(T* address, T value) {
  const T old = *address;
  *address = old < value ? value : old;
  return old;
}
template <class T>
inline T atomicMin(T* address, T value) {
  const T old = *address;
  *address = value < old ? value : old;
  return old;
}
template <class T>
inline T atomicOr(T* address, T value) {
  const T old = *address;
  *address = old | value;
  return old;
}
template <class T>
inline T atomicExch(T* address, T value) {
  const T old = *address;
  *address = value;
  return old;
}
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  const unsigned old = *address;
  *address = old >= limit ? 0 : old + 1;
  return old;
}

/* --- intrinsics ------------------------------------------------------------------------------------------------- */

inline float __uint_as_float(unsigned bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
inline unsigned __float_as_uint(float x) {
  unsigned bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float __int_as_float(int bits) {
  return __uint_as_float(static_cast<unsigned>(bits));
}
inline int __float_as_int(float x) {
  return static_cast<int>(__float_as_uint(x));
}
inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fsub_rn(float a, float b) {
  return a - b;
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline float __frcp_rn(float a) {
  return 1.0f / a;
}
inline float __fsqrt_rn(float a) {
  return __builtin_sqrtf(a);
}
inline float __fmaf_rn(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
inline double __dadd_rn(double a, double b) {
  return a + b;
}
inline double __dmul_rn(double a, double b) {
  return a * b;
}
inline double __fma_rn(double a, double b, double c) {
  return __builtin_fma(a, b, c);
}
inline int __float2int_rn(float x) {
  return static_cast<int>(__builtin_rintf(x));
}
/* The approximations of the device are the exact functions here. */
inline float rsqrtf(float x) {
  return 1.0f / __builtin_sqrtf(x);
}
inline float __expf(float x) {
  return __builtin_expf(x);
}
inline float __logf(float x) {
  return __builtin_logf(x);
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
inline int __clz(int x) {
  return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x));
}
inline int __clzll(long long x) {
  return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}
/* Bytes of y:x (x is the lower word), chosen by the nibbles of s; a nibble's upper bit would spread the sign. */
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned s) {
  const uint64_t bytes = (static_cast<uint64_t>(y) << 32) | x;
  unsigned result = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned choice = (s >> (4 * i)) & 0xfu;
    unsigned byte = static_cast<unsigned>(bytes >> (8 * (choice & 7u))) & 0xffu;
    if ((choice & 8u) != 0) {
      byte = (byte & 0x80u) != 0 ? 0xffu : 0u;
    }
    result |= byte << (8 * i);
  }
  return result;
}
template <class T>
inline T __ldg(const T* p) {
  ::muonium::emulator::check_aligned(p, sizeof(T), "__ldg");
  return *p;
}
template <class T>
inline T __ldcs(const T* p) {
  ::muonium::emulator::check_aligned(p, sizeof(T), "__ldcs");
  return *p;
}
template <class T>
inline void __stcs(T* p, T value) {
  ::muonium::emulator::check_aligned(p, sizeof(T), "__stcs");
  *p = value;
}

inline int min(int a, int b) {
  return b < a ? b : a;
}
inline int max(int a, int b) {
  return a < b ? b : a;
}
inline unsigned min(unsigned a, unsigned b) {
  return b < a ? b : a;
}
inline unsigned max(unsigned a, unsigned b) {
  return a < b ? b : a;
}
inline long min(long a, long b) {
  return b < a ? b : a;
}
inline long max(long a, long b) {
  return a < b ? b : a;
}
inline long long min(long long a, long long b) {
  return b < a ? b : a;
}
inline long long max(long long a, long long b) {
  return a < b ? b : a;
}

#endif
