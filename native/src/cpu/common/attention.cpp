/*
 * attention.cpp - causal grouped-query attention without stored scores, plainly: a query at a time, against its keys in
 * pieces of sixteen, with a running maximum. The oracle of the tiled kernels of a GPU.
 */
#include <cmath>

#include "cpu/common/arrays.h"
#include "cpu/common/functions.h"

namespace muonium::cpu::MU_TIER {
namespace {

constexpr int64_t kMostHeadDim = 128;

struct Shape {
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t positions;
  float scale;

  int64_t query(int64_t sequence, int64_t position, int64_t head) const {
    return ((sequence * positions + position) * heads + head) * head_dim;
  }
  int64_t key(int64_t sequence, int64_t position, int64_t head) const {
    return ((sequence * positions + position) * kv_heads + head / (heads / kv_heads)) * head_dim;
  }
  int64_t row(int64_t sequence, int64_t position, int64_t head) const {
    return (sequence * heads + head) * positions + position;
  }
  int64_t key_stride() const { return kv_heads * head_dim; }
};

/* y += factor * x */
inline void add(float factor, const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    y[i] += factor * x[i];
  }
}

/* One query against `count` keys: scores, then its running maximum, sum and output. */
struct Running {
  float most = -HUGE_VALF;
  float total = 0.0f;
  float output[kMostHeadDim] = {};

  void see(const Shape& shape, const float* query, const float* keys, const float* values, int64_t count) {
    float scores[kLanes];
    float higher = most;
    for (int64_t j = 0; j < count; ++j) {
      scores[j] = shape.scale * dot(query, keys + j * shape.key_stride(), shape.head_dim);
      higher = scores[j] > higher ? scores[j] : higher;
    }
    float weights[kLanes];
    store(weights, exp_lanes(load_first(scores, count, higher) - higher));
    const float kept = exp_lanes(all(most - higher)).part[0][0];
    total *= kept;
    for (int64_t i = 0; i < shape.head_dim; ++i) {
      output[i] *= kept;
    }
    for (int64_t j = 0; j < count; ++j) {
      total += weights[j];
      add(weights[j], values + j * shape.key_stride(), output, shape.head_dim);
    }
    most = higher;
  }
};

inline int64_t piece(int64_t begin, int64_t end) {
  return end - begin < kLanes ? end - begin : kLanes;
}

}  // namespace

mu_status attention(const mu_context*, mu_type, const void* q, const void* k, const void* v, void* o, float* lse,
                    float scale, int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t positions,
                    int64_t sequence_begin, int64_t sequence_end) {
  const Shape shape{heads, kv_heads, head_dim, positions, scale};
  for (int64_t sequence = sequence_begin; sequence < sequence_end; ++sequence) {
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t i = 0; i < positions; ++i) {
        Running running;
        for (int64_t j = 0; j <= i; j += kLanes) {
          const int64_t at = shape.key(sequence, j, head);
          running.see(shape, floats(q) + shape.query(sequence, i, head), floats(k) + at, floats(v) + at,
                      piece(j, i + 1));
        }
        float* out = floats(o) + shape.query(sequence, i, head);
        for (int64_t d = 0; d < head_dim; ++d) {
          out[d] = running.output[d] / running.total;
        }
        lse[shape.row(sequence, i, head)] = running.most + std::log(running.total);
      }
    }
  }
  return MU_OK;
}

mu_status attention_backward(const mu_context*, mu_type, const void* q, const void* k, const void* v, const float* lse,
                             const void* d_o, const float* delta, void* dq, void* dk, void* dv, float scale,
                             int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t positions,
                             int64_t sequence_begin, int64_t sequence_end) {
  const Shape shape{heads, kv_heads, head_dim, positions, scale};
  for (int64_t sequence = sequence_begin; sequence < sequence_end; ++sequence) {
    const int64_t keys_begin = shape.key(sequence, 0, 0);
    for (int64_t i = keys_begin; i < keys_begin + positions * shape.key_stride(); ++i) {
      floats(dk)[i] = 0.0f;
      floats(dv)[i] = 0.0f;
    }
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t i = 0; i < positions; ++i) {
        const int64_t row = shape.row(sequence, i, head);
        const float* query = floats(q) + shape.query(sequence, i, head);
        const float* gradient = floats(d_o) + shape.query(sequence, i, head);
        float query_gradient[kMostHeadDim] = {};
        for (int64_t j = 0; j <= i; j += kLanes) {
          const int64_t count = piece(j, i + 1);
          float p[kLanes];
          for (int64_t l = 0; l < count; ++l) {
            p[l] = scale * dot(query, floats(k) + shape.key(sequence, j + l, head), head_dim) - lse[row];
          }
          store(p, exp_lanes(load_first(p, count, 0.0f)));
          for (int64_t l = 0; l < count; ++l) {
            const int64_t at = shape.key(sequence, j + l, head);
            const float dp = dot(gradient, floats(v) + at, head_dim);
            const float ds = scale * p[l] * (dp - delta[row]);
            add(p[l], gradient, floats(dv) + at, head_dim);
            add(ds, query, floats(dk) + at, head_dim);
            add(ds, floats(k) + at, query_gradient, head_dim);
          }
        }
        float* out = floats(dq) + shape.query(sequence, i, head);
        for (int64_t d = 0; d < head_dim; ++d) {
          out[d] = query_gradient[d];
        }
      }
    }
  }
  return MU_OK;
}

}  // namespace muonium::cpu::MU_TIER
