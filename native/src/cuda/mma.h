/*
 * mma.h - tensor cores: one warp multiplies 16x16 by 16x8 in bf16 and adds up in FP32, and loads the fragments for it.
 *
 * The layouts are those of the PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type". With g = lane / 4
 * and t = lane % 4, lane holds (two bf16 per register, the lower column or row in the lower half):
 *
 *   A, 16x16, row-major      a[0] = A[g    ][2t, 2t+1]     a[2] = A[g    ][2t+8, 2t+9]
 *                            a[1] = A[g + 8][2t, 2t+1]     a[3] = A[g + 8][2t+8, 2t+9]
 *   B, 16x8 (k x n)          b[0] = B[2t, 2t+1][g]         b[1] = B[2t+8, 2t+9][g]
 *   D, 16x8, FP32            d[0], d[1] = D[g][2t], D[g][2t+1]     d[2], d[3] = D[g + 8][2t], D[g + 8][2t+1]
 */
#ifndef MUONIUM_CUDA_MMA_H
#define MUONIUM_CUDA_MMA_H

#include "cuda/device.h"

namespace muonium::cuda {

/* Rounds both to nearest even; lo is in the lower half: cvt.rn.bf16x2.f32. A NaN becomes 0x7fff. */
MU_DEVICE uint32_t pack_bf16(float lo, float hi) {
#if defined(MU_EMULATED)
  return ::muonium::emulator::pack_bf16(lo, hi);
#else
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(hi), "f"(lo));
  return packed;
#endif
}

#if defined(MU_EMULATED)

using ::muonium::emulator::ldmatrix_x2;
using ::muonium::emulator::ldmatrix_x2_trans;
using ::muonium::emulator::ldmatrix_x4;
using ::muonium::emulator::ldmatrix_x4_trans;
using ::muonium::emulator::mma_bf16;

#else

/* d <- A * B + d: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32. */
MU_DEVICE void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/*
 * Loads four 8x8 matrices of 16-bit elements from shared memory. Lane 8i + j gives the address of row j of matrix i: 8
 * elements, 16 bytes, aligned to 16. r[i] gets from matrix i the elements [g][2t] (lower half) and [g][2t+1].
 * So a fragment A, 16x16 stored row by row, comes in one call with the rows of these blocks in this order: upper left
 * (rows 0-7, columns 0-7), lower left (rows 8-15, columns 0-7), upper right, lower right.
 */
MU_DEVICE void ldmatrix_x4(uint32_t (&r)[4], const void* shared_row) {
  const unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from)
               : "memory");
}

/*
 * The same, each matrix transposed: r[i] gets the elements [2t][g] (lower half) and [2t+1][g] of matrix i as stored. So
 * a fragment B whose k x n tile is stored row by row (k rows of n) comes with b[0] from the rows k = 0-7, b[1] from 8-15.
 */
MU_DEVICE void ldmatrix_x4_trans(uint32_t (&r)[4], const void* shared_row) {
  const unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from)
               : "memory");
}

/* Two matrices; the rows come from lanes 0-15, the addresses of the other lanes are not used but must be valid. */
MU_DEVICE void ldmatrix_x2(uint32_t (&r)[2], const void* shared_row) {
  const unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(from)
               : "memory");
}

MU_DEVICE void ldmatrix_x2_trans(uint32_t (&r)[2], const void* shared_row) {
  const unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(from)
               : "memory");
}

#endif

}  // namespace muonium::cuda

#endif
