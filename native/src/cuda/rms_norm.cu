/*
 * rms_norm.cu - RMS normalization without weights, forward and backward. A row belongs to a warp, or to four where it is long; up to
 * four pieces of 16 bytes per lane stay in registers (1024 and 4096 bf16, half as many floats), so that a row is read once;
 * what is longer is read again, from the cache. Bound by memory: 4 bytes per element forward and 8 backward in bf16.
 */
#include "cuda/launch.h"
#include "cuda/pieces.h"
#include "cuda/state.h"
#include "cuda/table.h"
#include "cuda/typed.h"

namespace muonium::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;
constexpr int kHeld = 4;

/* The sum over a row's threads, in each of them: one warp, or all of the block's in order. */
template <int warps>
MU_DEVICE float row_sum(float x) {
  x = warp_sum(x);
  if (warps == 1) {
    return x;
  }
  __shared__ float sums[kWarps];
  __syncthreads(); /* The last row's numbers have been read. */
  if (lane_index() == 0) {
    sums[warp_index()] = x;
  }
  __syncthreads();
  float total = sums[0];
#pragma unroll
  for (int i = 1; i < kWarps; ++i) {
    total += sums[i];
  }
  return total;
}

/* How the threads of a block share rows. */
template <int warps>
struct Rows {
  static constexpr int kPerBlock = kWarps / warps;
  static constexpr int kLanes = warps * kWarp;

  MU_DEVICE static int64_t first(int64_t row_begin) {
    return row_begin + first_item(kPerBlock) + (warps == 1 ? static_cast<int64_t>(warp_index()) : 0);
  }
  MU_DEVICE static int64_t lane() { return static_cast<int64_t>(threadIdx.x) % kLanes; }
};

template <int n>
MU_DEVICE float squares(const float (&x)[n], float sum) {
#pragma unroll
  for (int e = 0; e < n; ++e) {
    sum = fused(x[e], x[e], sum);
  }
  return sum;
}

template <class T, int n, int warps>
__global__ void __launch_bounds__(kThreads)
rms_norm_rows(const T* x, T* y, float* rstd, float eps, int64_t cols, int64_t row_begin, int64_t row_end) {
  using Share = Rows<warps>;
  const int64_t pieces = cols / n;
  const int64_t lane = Share::lane();
  for (int64_t row = Share::first(row_begin); row < row_end; row += item_stride(Share::kPerBlock)) {
    const T* const from = x + row * cols;
    T* const to = y + row * cols;
    Piece<T, n> held[kHeld];
#pragma unroll
    for (int h = 0; h < kHeld; ++h) {
      const int64_t piece = lane + h * Share::kLanes;
      held[h].clear();
      if (piece < pieces) {
        held[h].load(from + piece * n);
      }
    }
    float sum = 0.0f;
    float values[n];
#pragma unroll
    for (int h = 0; h < kHeld; ++h) {
      held[h].widen(values);
      sum = squares(values, sum);
    }
    for (int64_t piece = lane + kHeld * Share::kLanes; piece < pieces; piece += Share::kLanes) {
      load_piece(from + piece * n, values);
      sum = squares(values, sum);
    }
    const float r = 1.0f / square_root(row_sum<warps>(sum) / static_cast<float>(cols) + eps);
    if (lane == 0) {
      rstd[row] = r;
    }
#pragma unroll
    for (int h = 0; h < kHeld; ++h) {
      const int64_t piece = lane + h * Share::kLanes;
      if (piece < pieces) {
        held[h].widen(values);
#pragma unroll
        for (int e = 0; e < n; ++e) {
          values[e] *= r;
        }
        store_piece(to + piece * n, values);
      }
    }
    for (int64_t piece = lane + kHeld * Share::kLanes; piece < pieces; piece += Share::kLanes) {
      load_piece(from + piece * n, values);
#pragma unroll
      for (int e = 0; e < n; ++e) {
        values[e] *= r;
      }
      store_piece(to + piece * n, values);
    }
  }
}

/* add + (r * dy - factor * x) for a piece, to dx, which may be dy or add: each is read before it is written. */
template <class T, int n>
MU_DEVICE void store_gradient(const T* add, T* dx, const float (&dy)[n], const float (&x)[n], float r, float factor) {
  float out[n];
#pragma unroll
  for (int e = 0; e < n; ++e) {
    out[e] = r * dy[e] - factor * x[e];
  }
  if (add != nullptr) {
    float more[n];
    load_piece(add, more);
#pragma unroll
    for (int e = 0; e < n; ++e) {
      out[e] = more[e] + out[e];
    }
  }
  store_piece(dx, out);
}

template <int n>
MU_DEVICE float products(const float (&x)[n], const float (&y)[n], float sum) {
#pragma unroll
  for (int e = 0; e < n; ++e) {
    sum = fused(x[e], y[e], sum);
  }
  return sum;
}

template <class T, int n, int warps>
__global__ void __launch_bounds__(kThreads)
rms_norm_backward_rows(const T* dy, const T* x, const float* rstd, const T* add, T* dx, int64_t cols,
                       int64_t row_begin, int64_t row_end) {
  using Share = Rows<warps>;
  const int64_t pieces = cols / n;
  const int64_t lane = Share::lane();
  for (int64_t row = Share::first(row_begin); row < row_end; row += item_stride(Share::kPerBlock)) {
    const int64_t at = row * cols;
    Piece<T, n> held_dy[kHeld];
    Piece<T, n> held_x[kHeld];
#pragma unroll
    for (int h = 0; h < kHeld; ++h) {
      const int64_t piece = lane + h * Share::kLanes;
      held_dy[h].clear();
      held_x[h].clear();
      if (piece < pieces) {
        held_dy[h].load(dy + at + piece * n);
        held_x[h].load(x + at + piece * n);
      }
    }
    float sum = 0.0f;
    float gradients[n];
    float values[n];
#pragma unroll
    for (int h = 0; h < kHeld; ++h) {
      held_dy[h].widen(gradients);
      held_x[h].widen(values);
      sum = products(gradients, values, sum);
    }
    for (int64_t piece = lane + kHeld * Share::kLanes; piece < pieces; piece += Share::kLanes) {
      load_piece(dy + at + piece * n, gradients);
      load_piece(x + at + piece * n, values);
      sum = products(gradients, values, sum);
    }
    const float r = rstd[row];
    /* dx = r * (dy - y * mean(dy * y)) with y = x * r */
    const float factor = r * r * r * (row_sum<warps>(sum) / static_cast<float>(cols));
#pragma unroll
    for (int h = 0; h < kHeld; ++h) {
      const int64_t piece = lane + h * Share::kLanes;
      if (piece < pieces) {
        const int64_t i = at + piece * n;
        held_dy[h].widen(gradients);
        held_x[h].widen(values);
        store_gradient<T, n>(add == nullptr ? nullptr : add + i, dx + i, gradients, values, r, factor);
      }
    }
    for (int64_t piece = lane + kHeld * Share::kLanes; piece < pieces; piece += Share::kLanes) {
      const int64_t i = at + piece * n;
      load_piece(dy + i, gradients);
      load_piece(x + i, values);
      store_gradient<T, n>(add == nullptr ? nullptr : add + i, dx + i, gradients, values, r, factor);
    }
  }
}

/* Where a warp holds a whole row, each row gets one. */
constexpr bool is_short(int64_t pieces) {
  return pieces <= static_cast<int64_t>(kHeld) * kWarp;
}

template <class T, int n>
cudaError_t forward(State& state, const T* x, T* y, float* rstd, float eps, int64_t cols, int64_t row_begin,
                    int64_t row_end) {
  const bool one = is_short(cols / n);
  return launch(one ? rms_norm_rows<T, n, 1> : rms_norm_rows<T, n, kWarps>,
                blocks_for(row_end - row_begin, one ? kWarps : 1), dim3(kThreads), 0, state.stream, x, y, rstd, eps,
                cols, row_begin, row_end);
}

template <class T, int n>
cudaError_t backward(State& state, const T* dy, const T* x, const float* rstd, const T* add, T* dx, int64_t cols,
                     int64_t row_begin, int64_t row_end) {
  const bool one = is_short(cols / n);
  return launch(one ? rms_norm_backward_rows<T, n, 1> : rms_norm_backward_rows<T, n, kWarps>,
                blocks_for(row_end - row_begin, one ? kWarps : 1), dim3(kThreads), 0, state.stream, dy, x, rstd, add,
                dx, cols, row_begin, row_end);
}

}  // namespace

mu_status rms_norm(const mu_context* context, mu_type type, const void* x, void* y, float* rstd, float eps,
                   int64_t cols, int64_t row_begin, int64_t row_end) {
  const char* const name = "mu_rms_norm";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || row_begin == row_end) {
    return entered;
  }
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    const bool wide = cols % kWide<T> == 0 && aligned16(x) && aligned16(y);
    return check(
        wide ? forward<T, kWide<T>>(*state, as<T>(x), as<T>(y), rstd, eps, cols, row_begin, row_end)
             : forward<T, 1>(*state, as<T>(x), as<T>(y), rstd, eps, cols, row_begin, row_end),
        name);
  });
}

mu_status rms_norm_backward(const mu_context* context, mu_type type, const void* dy, const void* x, const float* rstd,
                            const void* add, void* dx, int64_t cols, int64_t row_begin, int64_t row_end) {
  const char* const name = "mu_rms_norm_backward";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || row_begin == row_end) {
    return entered;
  }
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    /* A null add is aligned, too. */
    const bool wide = cols % kWide<T> == 0 && aligned16(dy) && aligned16(x) && aligned16(add) && aligned16(dx);
    return check(wide ? backward<T, kWide<T>>(*state, as<T>(dy), as<T>(x), rstd, as<T>(add), as<T>(dx), cols,
                                              row_begin, row_end)
                      : backward<T, 1>(*state, as<T>(dy), as<T>(x), rstd, as<T>(add), as<T>(dx), cols, row_begin,
                                       row_end),
                 name);
  });
}

}  // namespace muonium::cuda
