/* warp.cpp - the collectives that are no templates. The layouts are those of the PTX ISA; see cuda/mma.h. */
#include "emulated_warp.h"

#include "clones.h"

namespace muonium::emulator {
namespace {

struct Vote {
  uint32_t value;
  uint32_t result;
};

template <class Lane>
Lane& lane_of(void* const (&lanes)[kLanes], int i) {
  return *static_cast<Lane*>(lanes[i]);
}

void perform_ballot(void* const (&lanes)[kLanes]) {
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; ++i) {
    bits |= (lane_of<Vote>(lanes, i).value != 0 ? 1u : 0u) << i;
  }
  for (int i = 0; i < kLanes; ++i) {
    lane_of<Vote>(lanes, i).result = bits;
  }
}

void perform_max(void* const (&lanes)[kLanes]) {
  uint32_t greatest = 0;
  for (int i = 0; i < kLanes; ++i) {
    greatest = max(greatest, lane_of<Vote>(lanes, i).value);
  }
  for (int i = 0; i < kLanes; ++i) {
    lane_of<Vote>(lanes, i).result = greatest;
  }
}

struct Mma {
  float* d;
  const uint32_t* a;
  const uint32_t* b;
};

double lower(uint32_t pair) {
  return static_cast<double>(__uint_as_float(pair << 16));
}

double upper(uint32_t pair) {
  return static_cast<double>(__uint_as_float(pair & 0xffff0000u));
}

/* d (16 x 8) += a (16 x 16) * b (16 x 8), sum by sum in double. */
MU_CLONES
void multiply_tiles(const double (&a)[16][16], const double (&b)[16][8], double (&d)[16][8]) {
  for (int i = 0; i < 16; ++i) {
    for (int k = 0; k < 16; ++k) {
      for (int j = 0; j < 8; ++j) {
        d[i][j] += a[i][k] * b[k][j];
      }
    }
  }
}

void perform_mma(void* const (&lanes)[kLanes]) {
  double a[16][16];
  double b[16][8];
  double d[16][8];
  for (int i = 0; i < kLanes; ++i) {
    const Mma& mine = lane_of<Mma>(lanes, i);
    const int g = i / 4;
    const int t = i % 4;
    for (int r = 0; r < 4; ++r) {
      const int row = g + (r % 2) * 8;
      const int column = 2 * t + (r / 2) * 8;
      a[row][column] = lower(mine.a[r]);
      a[row][column + 1] = upper(mine.a[r]);
    }
    for (int r = 0; r < 2; ++r) {
      b[2 * t + 8 * r][g] = lower(mine.b[r]);
      b[2 * t + 8 * r + 1][g] = upper(mine.b[r]);
    }
    for (int r = 0; r < 4; ++r) {
      d[g + (r / 2) * 8][2 * t + r % 2] = static_cast<double>(mine.d[r]);
    }
  }
  multiply_tiles(a, b, d);
  for (int i = 0; i < kLanes; ++i) {
    for (int r = 0; r < 4; ++r) {
      lane_of<Mma>(lanes, i).d[r] = static_cast<float>(d[i / 4 + (r / 2) * 8][2 * (i % 4) + r % 2]);
    }
  }
}

struct Load {
  uint32_t* r;
  const void* row;
};

template <int kMatrices, bool kTransposed>
void perform_load(void* const (&lanes)[kLanes]) {
  for (int m = 0; m < kMatrices; ++m) {
    uint16_t matrix[8][8];
    for (int row = 0; row < 8; ++row) {
      memcpy(matrix[row], lane_of<Load>(lanes, 8 * m + row).row, 16);
    }
    for (int i = 0; i < kLanes; ++i) {
      const int g = i / 4;
      const int t = i % 4;
      const uint32_t low = kTransposed ? matrix[2 * t][g] : matrix[g][2 * t];
      const uint32_t high = kTransposed ? matrix[2 * t + 1][g] : matrix[g][2 * t + 1];
      lane_of<Load>(lanes, i).r[m] = low | (high << 16);
    }
  }
}

template <int kMatrices, bool kTransposed>
void load_matrices(const char* what, uint32_t* r, const void* row, const char* file, int line) {
  if (lane() < 8 * kMatrices) {
    check_aligned(row, 16, what);
  }
  Load mine = {r, row};
  warp_collective(Site{what, file, line}, &mine, perform_load<kMatrices, kTransposed>);
}

}  // namespace

uint32_t ballot(bool predicate, const char* file, int line) {
  Vote mine = {predicate ? 1u : 0u, 0};
  warp_collective(Site{"ballot", file, line}, &mine, perform_ballot);
  return mine.result;
}

bool any(bool predicate, const char* file, int line) {
  Vote mine = {predicate ? 1u : 0u, 0};
  warp_collective(Site{"any", file, line}, &mine, perform_ballot);
  return mine.result != 0;
}

uint32_t reduce_max(uint32_t value, const char* file, int line) {
  Vote mine = {value, 0};
  warp_collective(Site{"reduce_max", file, line}, &mine, perform_max);
  return mine.result;
}

void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const char* file, int line) {
  Mma mine = {d, a, b};
  warp_collective(Site{"mma_bf16", file, line}, &mine, perform_mma);
}

void ldmatrix_x4(uint32_t (&r)[4], const void* shared_row, const char* file, int line) {
  load_matrices<4, false>("ldmatrix_x4", r, shared_row, file, line);
}

void ldmatrix_x4_trans(uint32_t (&r)[4], const void* shared_row, const char* file, int line) {
  load_matrices<4, true>("ldmatrix_x4_trans", r, shared_row, file, line);
}

void ldmatrix_x2(uint32_t (&r)[2], const void* shared_row, const char* file, int line) {
  load_matrices<2, false>("ldmatrix_x2", r, shared_row, file, line);
}

void ldmatrix_x2_trans(uint32_t (&r)[2], const void* shared_row, const char* file, int line) {
  load_matrices<2, true>("ldmatrix_x2_trans", r, shared_row, file, line);
}

uint32_t pack_bf16(float lo, float hi) {
  const auto half = [](float x) -> uint32_t {
    const uint32_t bits = __float_as_uint(x);
    return (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  };
  return half(lo) | (half(hi) << 16);
}

}  // namespace muonium::emulator
