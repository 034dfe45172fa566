/*
 * device.h - the one header through which kernels touch what is CUDA's own. nvcc compiles it to intrinsics and PTX. With
 * MU_EMULATED the C++ compiler compiles the same kernels against native/emulator, which runs them on the processor.
 *
 * Kernels are written as usual: __global__, __device__, __shared__ (static arrays), __launch_bounds__, threadIdx,
 * blockIdx, blockDim, gridDim, __syncthreads(), __syncwarp(). All warp functions are for full warps: all 32 lanes of the
 * warp call the same one at the same place.
 */
#ifndef MUONIUM_CUDA_DEVICE_H
#define MUONIUM_CUDA_DEVICE_H

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#if defined(MU_EMULATED)
#include <emulated_warp.h>
#endif

#define MU_DEVICE __device__ __forceinline__

/* Before a loop whose count is known: an array that it indexes stays in registers only when it is unrolled. */
#if defined(MU_EMULATED)
#define MU_UNROLL
#else
#define MU_UNROLL _Pragma("unroll")
#endif

/* Declares name, a pointer to the block's dynamic shared memory (aligned to 128 bytes on the device, 16 at least). */
#if defined(MU_EMULATED)
#define MU_DYNAMIC_SHARED(type, name) type* const name = static_cast<type*>(::muonium::emulator::dynamic_shared())
#else
#define MU_DYNAMIC_SHARED(type, name)                                \
  extern __shared__ __align__(128) unsigned char mu_dynamic_shared[]; \
  type* const name = reinterpret_cast<type*>(mu_dynamic_shared)
#endif

namespace muonium::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kFullWarp = 0xffffffffu;

/* The lane and the warp of this thread; for blocks of one dimension. */
MU_DEVICE unsigned lane_index() {
  return threadIdx.x % 32u;
}

MU_DEVICE unsigned warp_index() {
  return threadIdx.x / 32u;
}

/* --- 16-byte accesses; the address is a multiple of 16 ------------------------------------------------------------ */

MU_DEVICE uint4 load16(const void* p) {
#if defined(MU_EMULATED)
  ::muonium::emulator::check_aligned(p, 16, "load16");
#endif
  return *static_cast<const uint4*>(p);
}

MU_DEVICE void store16(void* p, uint4 value) {
#if defined(MU_EMULATED)
  ::muonium::emulator::check_aligned(p, 16, "store16");
#endif
  *static_cast<uint4*>(p) = value;
}

/* For what is read once: ld.global.cs, evicted first from the caches. */
MU_DEVICE uint4 load16_streaming(const void* p) {
#if defined(MU_EMULATED)
  return load16(p);
#else
  return __ldcs(static_cast<const uint4*>(p));
#endif
}

/* For what is written once and not read again soon: st.global.cs. */
MU_DEVICE void store16_streaming(void* p, uint4 value) {
#if defined(MU_EMULATED)
  store16(p, value);
#else
  __stcs(static_cast<uint4*>(p), value);
#endif
}

/* For what no thread of the grid writes while the kernel runs: ld.global.nc. */
MU_DEVICE uint4 load16_readonly(const void* p) {
#if defined(MU_EMULATED)
  return load16(p);
#else
  return __ldg(static_cast<const uint4*>(p));
#endif
}

/* --- functions ------------------------------------------------------------------------------------------------- */

/* 2^x in one instruction, within 2 ulp: ex2.approx.ftz. What would be subnormal is 0, 2^-infinity too. */
MU_DEVICE float exp2_approximate(float x) {
#if defined(MU_EMULATED)
  return exp2f(x);
#else
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
#endif
}

/* --- warp functions --------------------------------------------------------------------------------------------- */

#if defined(MU_EMULATED)

using ::muonium::emulator::any;
using ::muonium::emulator::ballot;
using ::muonium::emulator::reduce_max;
using ::muonium::emulator::shuffle;
using ::muonium::emulator::shuffle_down;
using ::muonium::emulator::shuffle_xor;

#else

/* T is 32 or 64 bits wide: int, uint32_t, float, double, uint64_t. */
template <class T>
MU_DEVICE T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(kFullWarp, value, mask);
}

/* The value of the lane `delta` above; the lanes that have none above keep their own. */
template <class T>
MU_DEVICE T shuffle_down(T value, unsigned delta) {
  return __shfl_down_sync(kFullWarp, value, delta);
}

/* The value of a lane, which is taken modulo 32. */
template <class T>
MU_DEVICE T shuffle(T value, int lane) {
  return __shfl_sync(kFullWarp, value, lane);
}

/* Bit i is set when lane i's predicate is. */
MU_DEVICE uint32_t ballot(bool predicate) {
  return __ballot_sync(kFullWarp, predicate);
}

MU_DEVICE bool any(bool predicate) {
  return __any_sync(kFullWarp, predicate) != 0;
}

/* The greatest of the warp's values, in every lane: one instruction, redux.sync. */
MU_DEVICE uint32_t reduce_max(uint32_t value) {
  return __reduce_max_sync(kFullWarp, value);
}

#endif

/* --- asynchronous copies to shared memory (cp.async) --------------------------------------------------------------- */

/*
 * Copies 16 bytes from global to shared memory past the registers; both addresses are multiples of 16. The bytes are
 * there for the thread that copied them after copy_async_wait, for the others after a __syncthreads that follows it.
 * From the copy until then the 16 bytes in shared memory must not be read.
 */
MU_DEVICE void copy_async16(void* shared, const void* global) {
#if defined(MU_EMULATED)
  ::muonium::emulator::copy_async16(shared, global, true);
#else
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(__cvta_generic_to_global(global)) : "memory");
#endif
}

/* The same; where valid is false nothing is read and the 16 bytes become 0. `global` need not be readable then. */
MU_DEVICE void copy_async16_or_zero(void* shared, const void* global, bool valid) {
#if defined(MU_EMULATED)
  ::muonium::emulator::copy_async16(shared, global, valid);
#else
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const unsigned bytes = valid ? 16u : 0u;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(__cvta_generic_to_global(global)),
               "r"(bytes)
               : "memory");
#endif
}

/* Makes the copies of this thread since its last commit one group; a group may be empty. */
MU_DEVICE void copy_async_commit() {
#if defined(MU_EMULATED)
  ::muonium::emulator::copy_async_commit();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* Waits until all groups of this thread but the latest N are complete. */
template <int N>
MU_DEVICE void copy_async_wait() {
  static_assert(N >= 0);
#if defined(MU_EMULATED)
  ::muonium::emulator::copy_async_wait(N);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

}  // namespace muonium::cuda

#endif
