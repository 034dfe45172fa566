/*
 * rotary_norm.cu - rotary positions and RMS normalization of each head, forward and backward, and the dot products of heads. A group
 * of neighbouring lanes takes a head, a lane a piece of its first half and the same of its second: 64 dimensions in bf16 are
 * four lanes, so that a warp works on eight heads. Bound by memory: a head is read and written once, the table stays in caches.
 */
#include "cuda/launch.h"
#include "cuda/pieces.h"
#include "cuda/state.h"
#include "cuda/table.h"
#include "cuda/typed.h"

namespace muonium::cuda {
namespace {

constexpr int kThreads = 128;

/* Heads are numbered row by row. */
struct Heads {
  int64_t heads;
  int64_t head_dim;
  int64_t positions;
  int64_t begin;
  int64_t end;
  int lanes; /* of a group: a power of two, at most 32 */
};

/* Lanes that a head of so many pieces gets. */
int lanes_for(int64_t pieces) {
  int lanes = 1;
  while (lanes < kWarp && lanes < pieces) {
    lanes *= 2;
  }
  return lanes;
}

Heads heads_of(int64_t heads, int64_t head_dim, int64_t positions, int64_t row_begin, int64_t row_end, int64_t pieces) {
  return Heads{heads, head_dim, positions, row_begin * heads, row_end * heads, lanes_for(pieces)};
}

/* The groups of lanes of this thread's grid, from its own on; all lanes of a warp go around together. */
struct Groups {
  int lane;
  int64_t first;
  int64_t stride;

  MU_DEVICE explicit Groups(const Heads& shape) {
    const int per_block = kThreads / shape.lanes;
    lane = static_cast<int>(threadIdx.x) % shape.lanes;
    first = shape.begin + first_item(per_block) + static_cast<int>(threadIdx.x) / shape.lanes;
    stride = item_stride(per_block);
  }

  /* The first head of this thread's warp: the condition of a loop that a warp leaves as one. */
  MU_DEVICE static int64_t of_warp(int64_t head, const Heads& shape) {
    return head - static_cast<int64_t>(lane_index()) / shape.lanes;
  }
};

template <int n>
MU_DEVICE void rotate(float (&a)[n], float (&b)[n], const float (&cosine)[n], const float (&sine)[n]) {
#pragma unroll
  for (int e = 0; e < n; ++e) {
    const float first = a[e];
    const float second = b[e];
    a[e] = first * cosine[e] - second * sine[e];
    b[e] = first * sine[e] + second * cosine[e];
  }
}

template <int n>
MU_DEVICE void rotate_back(float (&a)[n], float (&b)[n], const float (&cosine)[n], const float (&sine)[n]) {
#pragma unroll
  for (int e = 0; e < n; ++e) {
    const float first = a[e];
    const float second = b[e];
    a[e] = first * cosine[e] + second * sine[e];
    b[e] = second * cosine[e] - first * sine[e];
  }
}

/* A piece of both halves of a head, turned. */
template <class T, int n>
MU_DEVICE void load_rotated(const T* head, const float* turn, int64_t half, int64_t i, float (&a)[n], float (&b)[n]) {
  float cosine[n];
  float sine[n];
  load_piece(head + i, a);
  load_piece(head + half + i, b);
  load_piece(turn + i, cosine);
  load_piece(turn + half + i, sine);
  rotate(a, b, cosine, sine);
}

template <int n>
MU_DEVICE float squares(const float (&a)[n], const float (&b)[n], float sum) {
#pragma unroll
  for (int e = 0; e < n; ++e) {
    sum = fused(a[e], a[e], sum);
    sum = fused(b[e], b[e], sum);
  }
  return sum;
}

template <class T, int n>
MU_DEVICE void store_scaled(T* head, int64_t half, int64_t i, float (&a)[n], float (&b)[n], float r) {
#pragma unroll
  for (int e = 0; e < n; ++e) {
    a[e] *= r;
    b[e] *= r;
  }
  store_piece(head + i, a);
  store_piece(head + half + i, b);
}

/* A lane's first piece stays in registers; heads that are longer than 32 pieces are read again. */
template <class T, int n>
__global__ void __launch_bounds__(kThreads)
rotary_norm_heads(T* x, float* rstd, const float* table, float eps, Heads shape) {
  const Groups groups(shape);
  const int64_t half = shape.head_dim / 2;
  const int64_t own = static_cast<int64_t>(groups.lane) * n;
  const int64_t step = static_cast<int64_t>(shape.lanes) * n;
  for (int64_t head = groups.first; Groups::of_warp(head, shape) < shape.end; head += groups.stride) {
    const bool valid = head < shape.end;
    const int64_t row = quotient(valid ? head : 0, shape.heads);
    const int64_t position = row - quotient(row, shape.positions) * shape.positions;
    const float* const turn = table + position * shape.head_dim;
    T* const values = x + head * shape.head_dim;
    const int64_t end = valid ? half : 0;
    float a[n];
    float b[n];
    float sum = 0.0f;
    if (own < end) {
      load_rotated<T, n>(values, turn, half, own, a, b);
      sum = squares(a, b, sum);
    }
    for (int64_t i = own + step; i < end; i += step) {
      float c[n];
      float d[n];
      load_rotated<T, n>(values, turn, half, i, c, d);
      sum = squares(c, d, sum);
    }
    sum = group_sum(sum, shape.lanes);
    const float r = 1.0f / square_root(sum / static_cast<float>(shape.head_dim) + eps);
    if (valid && groups.lane == 0) {
      rstd[head] = r;
    }
    if (own < end) {
      store_scaled<T, n>(values, half, own, a, b, r);
    }
    for (int64_t i = own + step; i < end; i += step) {
      load_rotated<T, n>(values, turn, half, i, a, b);
      store_scaled<T, n>(values, half, i, a, b, r);
    }
  }
}

template <int n>
MU_DEVICE float products(const float (&x)[n], const float (&y)[n], float sum) {
#pragma unroll
  for (int e = 0; e < n; ++e) {
    sum = fused(x[e], y[e], sum);
  }
  return sum;
}

/* dy <- rstd * (dy - y * mean), turned back; for a piece of both halves. */
template <class T, int n>
MU_DEVICE void store_gradient(const T* y, T* dy, const float* turn, int64_t half, int64_t i, float r, float mean) {
  float a[n];
  float b[n];
  float da[n];
  float db[n];
  float cosine[n];
  float sine[n];
  load_piece(y + i, a);
  load_piece(y + half + i, b);
  load_piece(dy + i, da);
  load_piece(dy + half + i, db);
  load_piece(turn + i, cosine);
  load_piece(turn + half + i, sine);
#pragma unroll
  for (int e = 0; e < n; ++e) {
    da[e] = r * (da[e] - a[e] * mean);
    db[e] = r * (db[e] - b[e] * mean);
  }
  rotate_back(da, db, cosine, sine);
  store_piece(dy + i, da);
  store_piece(dy + half + i, db);
}

/* The second look at a piece finds it in the first-level cache. */
template <class T, int n>
__global__ void __launch_bounds__(kThreads)
rotary_norm_backward_heads(const T* y, const float* rstd, const float* table, T* dy, Heads shape) {
  const Groups groups(shape);
  const int64_t half = shape.head_dim / 2;
  const int64_t own = static_cast<int64_t>(groups.lane) * n;
  const int64_t step = static_cast<int64_t>(shape.lanes) * n;
  for (int64_t head = groups.first; Groups::of_warp(head, shape) < shape.end; head += groups.stride) {
    const bool valid = head < shape.end;
    const int64_t row = quotient(valid ? head : 0, shape.heads);
    const int64_t position = row - quotient(row, shape.positions) * shape.positions;
    const float* const turn = table + position * shape.head_dim;
    const T* const values = y + head * shape.head_dim;
    T* const gradient = dy + head * shape.head_dim;
    const int64_t end = valid ? half : 0;
    float sum = 0.0f;
    for (int64_t i = own; i < end; i += step) {
      float value[n];
      float given[n];
      load_piece(values + i, value);
      load_piece(gradient + i, given);
      sum = products(value, given, sum);
      load_piece(values + half + i, value);
      load_piece(gradient + half + i, given);
      sum = products(value, given, sum);
    }
    const float mean = group_sum(sum, shape.lanes) / static_cast<float>(shape.head_dim);
    const float r = valid ? rstd[head] : 0.0f;
    for (int64_t i = own; i < end; i += step) {
      store_gradient<T, n>(values, gradient, turn, half, i, r, mean);
    }
  }
}

template <class T, int n>
__global__ void __launch_bounds__(kThreads) head_dot_products(const T* x, const T* y, float* out, Heads shape) {
  const Groups groups(shape);
  const int64_t step = static_cast<int64_t>(shape.lanes) * n;
  for (int64_t head = groups.first; Groups::of_warp(head, shape) < shape.end; head += groups.stride) {
    const bool valid = head < shape.end;
    float sum = 0.0f;
    for (int64_t i = static_cast<int64_t>(groups.lane) * n; i < (valid ? shape.head_dim : 0); i += step) {
      float a[n];
      float b[n];
      load_piece(x + head * shape.head_dim + i, a);
      load_piece(y + head * shape.head_dim + i, b);
      sum = products(a, b, sum);
    }
    sum = group_sum(sum, shape.lanes);
    if (valid && groups.lane == 0) {
      const int64_t row = quotient(head, shape.heads);
      const int64_t sequence = quotient(row, shape.positions);
      const int64_t position = row - sequence * shape.positions;
      out[(sequence * shape.heads + head - row * shape.heads) * shape.positions + position] = sum;
    }
  }
}

dim3 grid_of(const Heads& shape) {
  return blocks_for(shape.end - shape.begin, kThreads / shape.lanes);
}

}  // namespace

mu_status rotary_norm(const mu_context* context, mu_type type, void* x, float* rstd, const float* table, float eps,
                      int64_t heads, int64_t head_dim, int64_t positions, int64_t row_begin, int64_t row_end) {
  const char* const name = "mu_rotary_norm";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || row_begin == row_end) {
    return entered;
  }
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    constexpr int n = kWide<T>;
    const bool wide = head_dim / 2 % n == 0 && aligned16(x) && aligned16(table);
    const Heads shape = heads_of(heads, head_dim, positions, row_begin, row_end, head_dim / 2 / (wide ? n : 1));
    return check(launch(wide ? rotary_norm_heads<T, n> : rotary_norm_heads<T, 1>, grid_of(shape), dim3(kThreads), 0,
                        state->stream, as<T>(x), rstd, table, eps, shape),
                 name);
  });
}

mu_status rotary_norm_backward(const mu_context* context, mu_type type, const void* y, const float* rstd,
                               const float* table, void* dy, int64_t heads, int64_t head_dim, int64_t positions,
                               int64_t row_begin, int64_t row_end) {
  const char* const name = "mu_rotary_norm_backward";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || row_begin == row_end) {
    return entered;
  }
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    constexpr int n = kWide<T>;
    const bool wide = head_dim / 2 % n == 0 && aligned16(y) && aligned16(dy) && aligned16(table);
    const Heads shape = heads_of(heads, head_dim, positions, row_begin, row_end, head_dim / 2 / (wide ? n : 1));
    return check(launch(wide ? rotary_norm_backward_heads<T, n> : rotary_norm_backward_heads<T, 1>, grid_of(shape),
                        dim3(kThreads), 0, state->stream, as<T>(y), rstd, table, as<T>(dy), shape),
                 name);
  });
}

mu_status head_dots(const mu_context* context, mu_type type, const void* x, const void* y, float* out, int64_t heads,
                    int64_t head_dim, int64_t positions, int64_t row_begin, int64_t row_end) {
  const char* const name = "mu_head_dots";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || row_begin == row_end) {
    return entered;
  }
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    constexpr int n = kWide<T>;
    const bool wide = head_dim % n == 0 && aligned16(x) && aligned16(y);
    const Heads shape = heads_of(heads, head_dim, positions, row_begin, row_end, head_dim / (wide ? n : 1));
    return check(launch(wide ? head_dot_products<T, n> : head_dot_products<T, 1>, grid_of(shape), dim3(kThreads), 0,
                        state->stream, as<T>(x), as<T>(y), out, shape),
                 name);
  });
}

}  // namespace muonium::cuda
