/*
 * loss.cu - soft-capped cross-entropy of rows of logits: a block per row. One pass finds the largest capped logit and the sum of
 * exponentials together (each thread rescales its sum where its maximum grows), a second one writes gradients. A row of a
 * vocabulary of 50257 begins anywhere, so the elements before the first multiple of 16 bytes and behind the last are taken one
 * by one. Bytes per logit in bf16: 4 with a cap forward (2 without), 6 backward; tanh and exp cost about as much as those.
 */
#include <cfloat>

#include "cuda/launch.h"
#include "cuda/pieces.h"
#include "cuda/state.h"
#include "cuda/table.h"
#include "cuda/typed.h"

namespace muonium::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / kWarp;

/* Where the whole pieces of a row lie. */
struct Extent {
  int64_t body;  /* the first element whose address is a multiple of 16 */
  int64_t pieces;
  int64_t tail;  /* the first element behind the pieces */
};

template <class T>
MU_DEVICE Extent extent_of(const T* row, int64_t cols) {
  const int64_t over = static_cast<int64_t>(reinterpret_cast<uintptr_t>(row) % 16 / sizeof(T));
  const int64_t before = over == 0 ? 0 : kWide<T> - over;
  const int64_t body = before < cols ? before : cols;
  const int64_t pieces = (cols - body) / kWide<T>;
  return Extent{body, pieces, body + pieces * kWide<T>};
}

/* Calls body(i, count as a type) so that every element of the row is in one call of one thread. */
template <class T, class Body>
MU_DEVICE void over_row(const T* row, int64_t cols, Body& body) {
  const Extent extent = extent_of(row, cols);
  const int64_t thread = threadIdx.x;
  for (int64_t i = thread; i < extent.body; i += kThreads) {
    body.template at<1>(i);
  }
  for (int64_t piece = thread; piece < extent.pieces; piece += kThreads) {
    body.template at<kWide<T>>(extent.body + piece * kWide<T>);
  }
  for (int64_t i = extent.tail + thread; i < cols; i += kThreads) {
    body.template at<1>(i);
  }
}

struct Cap {
  float cap; /* 0: none */
  float inverse;

  MU_DEVICE float operator()(float x) const { return cap > 0.0f ? cap * tanhf(x * inverse) : x; }
  /* Of the cap at a value that it gave. */
  MU_DEVICE float slope(float z) const {
    const float t = z * inverse;
    return 1.0f - t * t;
  }
};

/* The largest number seen, and the sum of exponentials below it. */
struct LogSum {
  float most = -FLT_MAX;
  float sum = 0.0f;

  MU_DEVICE void rise(float to) {
    if (to > most) {
      sum *= expf(most - to);
      most = to;
    }
  }

  MU_DEVICE void join(float other_most, float other_sum) {
    const float higher = fmaxf(most, other_most);
    sum = sum * expf(most - higher) + other_sum * expf(other_most - higher);
    most = higher;
  }
};

/* The first pass: caps, and keeps the logits so where `kept` asks for it. */
template <class T>
struct Look {
  T* logits;
  Cap cap;
  int64_t target;
  bool kept;
  LogSum seen;
  float at_target = 0.0f;
  bool has_target = false;

  MU_DEVICE Look(T* row, Cap by, int64_t wanted, bool keep) : logits(row), cap(by), target(wanted), kept(keep) {}

  template <int n>
  MU_DEVICE void at(int64_t i) {
    float z[n];
    load_piece(logits + i, z);
    float most = -FLT_MAX;
#pragma unroll
    for (int e = 0; e < n; ++e) {
      z[e] = cap(z[e]);
      most = fmaxf(most, z[e]);
      if (i + e == target) {
        at_target = z[e];
        has_target = true;
      }
    }
    seen.rise(most);
#pragma unroll
    for (int e = 0; e < n; ++e) {
      seen.sum += expf(z[e] - seen.most);
    }
    if (kept) {
      store_piece(logits + i, z);
    }
  }
};

/* The second pass. */
template <class T>
struct Derive {
  T* logits;
  Cap cap;
  int64_t target;
  float log_sum;
  float scale;

  template <int n>
  MU_DEVICE void at(int64_t i) {
    float z[n];
    load_piece(logits + i, z);
#pragma unroll
    for (int e = 0; e < n; ++e) {
      const float capped = cap(z[e]);
      const float slope = cap.slope(capped);
      z[e] = expf(capped - log_sum) * scale * slope - (i + e == target ? scale * slope : 0.0f);
    }
    store_piece(logits + i, z);
  }
};

/* What a row comes to, in every thread. The order of the threads' sums is fixed. */
struct RowSum {
  float log_sum;
  float at_target;
};

template <class T>
MU_DEVICE RowSum sum_row(const Look<T>& look) {
  __shared__ float mosts[kWarps];
  __shared__ float sums[kWarps];
  __shared__ float target;
  __syncthreads(); /* The last row's numbers have been read. */
  LogSum mine = look.seen;
#pragma unroll
  for (int apart = kWarp / 2; apart > 0; apart /= 2) {
    const float most = shuffle_xor(mine.most, apart);
    const float sum = shuffle_xor(mine.sum, apart);
    mine.join(most, sum);
  }
  if (lane_index() == 0) {
    mosts[warp_index()] = mine.most;
    sums[warp_index()] = mine.sum;
  }
  if (look.has_target) {
    target = look.at_target;
  }
  __syncthreads();
  LogSum all;
#pragma unroll
  for (int i = 0; i < kWarps; ++i) {
    all.join(mosts[i], sums[i]);
  }
  return RowSum{all.most + logf(all.sum), target};
}

template <class T, bool kBackward>
__global__ void __launch_bounds__(kThreads)
cross_entropy_rows(T* logits, float cap, const int32_t* targets, double* losses, float gradient_scale, int64_t cols,
                   int64_t row_begin, int64_t row_end) {
  const Cap by = {cap, cap > 0.0f ? 1.0f / cap : 0.0f};
  for (int64_t row = row_begin + blockIdx.x; row < row_end; row += gridDim.x) {
    T* const z = logits + row * cols;
    /* A target that is no column must be seen: there is nothing else that could tell. */
    const int64_t given = targets[row];
    const bool valid = given >= 0 && given < cols;
    const int64_t target = valid ? given : 0;
    Look<T> look(z, by, target, !kBackward && cap > 0.0f);
    over_row(z, cols, look);
    RowSum sum = sum_row(look);
    if (!valid) {
      sum.log_sum = float_of_bits(0x7fc00000u);
    }
    if (threadIdx.x == 0) {
      losses[row] = static_cast<double>(sum.log_sum) - static_cast<double>(sum.at_target);
    }
    if (kBackward) {
      Derive<T> derive{z, by, target, sum.log_sum, gradient_scale};
      over_row(z, cols, derive);
    }
  }
}

}  // namespace

mu_status cross_entropy(const mu_context* context, mu_type type, void* logits, float cap, const int32_t* targets,
                        double* losses, int64_t target_begin, int64_t cols, int64_t row_begin, int64_t row_end) {
  const char* const name = "mu_cross_entropy";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || row_begin == row_end) {
    return entered;
  }
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    return check(launch(cross_entropy_rows<T, false>, blocks_for(row_end - row_begin, 1), dim3(kThreads), 0,
                        state->stream, as<T>(logits), cap, targets + target_begin, losses + target_begin, 1.0f, cols,
                        row_begin, row_end),
                 name);
  });
}

mu_status cross_entropy_backward(const mu_context* context, mu_type type, void* logits, float cap,
                                 const int32_t* targets, double* losses, int64_t target_begin, float gradient_scale,
                                 int64_t cols, int64_t row_begin, int64_t row_end) {
  const char* const name = "mu_cross_entropy_backward";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || row_begin == row_end) {
    return entered;
  }
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    return check(launch(cross_entropy_rows<T, true>, blocks_for(row_end - row_begin, 1), dim3(kThreads), 0,
                        state->stream, as<T>(logits), cap, targets + target_begin, losses + target_begin,
                        gradient_scale, cols, row_begin, row_end),
                 name);
  });
}

}  // namespace muonium::cuda
