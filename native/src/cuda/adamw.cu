/*
 * adamw.cu - AdamW in one pass over weights, gradient and both states. 8 bits with FP32 weights and gradients move 16.1 bytes
 * per parameter. Cut as momentum.cu is: whole blocks of 128 two at a time by a warp, all else a warp per block.
 */
#include "cuda/chunks.h"
#include "cuda/launch.h"
#include "cuda/quantized.h"
#include "cuda/state.h"
#include "cuda/table.h"
#include "cuda/weights.h"
#include "math/optimizer.h"
#include "math/step.h"

namespace muonium::cuda {
namespace {

/* Many arrays, or (items is null) the one in `one` with the seed beside it. */
struct AdamwCall {
  const mu_adamw_item* items;
  int64_t count;
  int64_t chunks;
  const mu_step* step;
  mu_adamw_item one;
  uint64_t seed;
  int64_t first; /* the index in the parameter of the one array's first element */
  int64_t block;
};

/* One state of a span, moved to where that begins. */
template <class Format>
struct Moment {
  uint8_t* codes;
  float* scales;

  MU_DEVICE bool is_fast() const { return is_aligned(codes, CodeGroup<4>::kAlignment); }

  MU_DEVICE float read(const typename Format::Tables& tables, int i, float scale) const {
    return Format::stored(tables, codes[i]) * scale;
  }
  MU_DEVICE float scale(int k) const { return scales[k]; }

  MU_DEVICE void read_group(const typename Format::Tables& tables, int at, float (&x)[kPerLane]) const {
    CodeGroup<4> group;
    group.load(codes + at);
    const float scale = scales[at / kFastBlock];
    Format::stored_group(tables, group.words, x);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      x[i] *= scale;
    }
  }

  MU_DEVICE void write_group(const typename Format::Tables& tables, int at, const float (&x)[kPerLane]) const {
    const typename Format::Encoder encoder(block_absmax(x));
    CodeGroup<4> group;
    Format::encode_group(tables, encoder, x, group.words);
    group.store(codes + at);
    if (lane_index() % kLanesPerBlock == 0) {
      scales[at / kFastBlock] = encoder.scale;
    }
  }
};

template <>
struct Moment<PlainFormat> {
  float* values;
  float* scales;

  MU_DEVICE bool is_fast() const { return is_aligned(values, 16); }
  MU_DEVICE float read(const NoTables&, int i, float) const { return values[i]; }
  MU_DEVICE float scale(int) const { return 1.0f; }

  MU_DEVICE void read_group(const NoTables&, int at, float (&x)[kPerLane]) const {
    Group<float, 4> group;
    group.load(values + at);
    group.widen(x);
  }

  MU_DEVICE void write_group(const NoTables&, int at, const float (&x)[kPerLane]) const {
    Group<float, 4>::store(values + at, x);
  }
};

template <class Format>
MU_DEVICE Moment<Format> moment_at(void* elements, float* scales, int64_t begin, int64_t block) {
  if constexpr (kIsQuantized<Format>) {
    return Moment<Format>{static_cast<uint8_t*>(elements) + begin, scales + begin / block};
  } else {
    return Moment<Format>{static_cast<float*>(elements) + begin, nullptr};
  }
}

template <class M, class V>
struct Tables {
  typename M::Tables m;
  typename V::Tables v;
};

/* Gradients of either type; which one is the same for all threads. */
struct Gradient {
  const void* values;
  bool half;

  MU_DEVICE bool is_fast() const { return is_aligned(values, half ? 8 : 16); }

  MU_DEVICE float read(int i) const {
    return half ? to_float(static_cast<const bf16*>(values)[i]) : static_cast<const float*>(values)[i];
  }

  MU_DEVICE void read_group(int at, float (&x)[kPerLane]) const {
    if (half) {
      Group<bf16, 4> group;
      group.load(static_cast<const bf16*>(values) + at);
      group.widen(x);
    } else {
      Group<float, 4> group;
      group.load(static_cast<const float*>(values) + at);
      group.widen(x);
    }
  }
};

/* The blocks from `first` on, of any size and at any address: once for the greatest magnitudes, and again to write. */
template <class M, class V, class W>
MU_DEVICE void adamw_blocks(const Tables<M, V>& tables, const AdamwConstants& constants, const Weights<W>& weights,
                            const Gradient& gradient, const Moment<M>& m, const Moment<V>& v, int block, int first,
                            int count, RoundingKey key) {
  const int lane = static_cast<int>(lane_index());
  for (int k = first + static_cast<int>(warp_index()); k * block < count; k += kChunkWarps) {
    const int begin = k * block;
    const int end = min(begin + block, count);
    const float m_scale = m.scale(k);
    const float v_scale = v.scale(k);
    const auto step_of = [&](int i) {
      return adamw_step(constants, weights.read(i), gradient.read(i), m.read(tables.m, i, m_scale),
                        v.read(tables.v, i, v_scale));
    };
    uint32_t m_absmax = 0;
    uint32_t v_absmax = 0;
    if constexpr (kIsQuantized<M> || kIsQuantized<V>) {
      for (int i = begin + lane; i < end; i += kWarp) {
        const AdamwStep<float> step = step_of(i);
        m_absmax = max(m_absmax, magnitude_bits(step.m));
        v_absmax = max(v_absmax, magnitude_bits(step.v));
      }
      m_absmax = reduce_max(m_absmax);
      v_absmax = reduce_max(v_absmax);
    }
    for (int i = begin + lane; i < end; i += kWarp) {
      const AdamwStep<float> step = step_of(i);
      if constexpr (kIsQuantized<M>) {
        m.codes[i] = M::encode(tables.m, typename M::Encoder(m_absmax), step.m);
      } else {
        m.values[i] = step.m;
      }
      if constexpr (kIsQuantized<V>) {
        v.codes[i] = V::encode(tables.v, typename V::Encoder(v_absmax), step.v);
      } else {
        v.values[i] = step.v;
      }
      weights.write(i, step.weight, key);
    }
    if (lane == 0) {
      if constexpr (kIsQuantized<M>) {
        m.scales[k] = typename M::Encoder(m_absmax).scale;
      }
      if constexpr (kIsQuantized<V>) {
        v.scales[k] = typename V::Encoder(v_absmax).scale;
      }
    }
  }
}

template <class M, class V, class W>
MU_DEVICE void adamw_span(const Tables<M, V>& tables, const mu_adamw_item& item, double gradient_scale, uint64_t seed,
                          int64_t first, Span span, int64_t block, bool half_gradient) {
  mu_adamw_params params = item.params;
  params.gradient_scale = gradient_scale;
  const AdamwConstants constants = adamw_constants(params);
  const Weights<W> weights{static_cast<W*>(item.weights) + span.begin,
                           item.master == nullptr ? nullptr : item.master + span.begin, first + span.begin,
                           WeightRounding{{seed, item.rounding_step, item.rounding_parameter}, item.stochastic != 0}};
  const RoundingKey key = rounding_key(weights.rounding.key, 0);
  const Gradient gradient{static_cast<const char*>(item.gradient) + span.begin * (half_gradient ? 2 : 4),
                          half_gradient};
  const Moment<M> m = moment_at<M>(item.m, item.m_scales, span.begin, block);
  const Moment<V> v = moment_at<V>(item.v, item.v_scales, span.begin, block);
  constexpr bool has_blocks = kIsQuantized<M> || kIsQuantized<V>;
  const bool fast = (!has_blocks || block == kFastBlock) && weights.template is_fast<4>() && gradient.is_fast() &&
                    m.is_fast() && v.is_fast();
  const int count = static_cast<int>(span.count);
  const int units = fast ? count / kUnit : 0;
  for (int unit = static_cast<int>(warp_index()); unit < units; unit += kChunkWarps) {
    const int at = unit * kUnit + lane_offset<4>();
    float g[kPerLane];
    float w[kPerLane];
    float fresh_m[kPerLane];
    float fresh_v[kPerLane];
    gradient.read_group(at, g);
    weights.template read_group<4>(at, w);
    m.read_group(tables.m, at, fresh_m);
    v.read_group(tables.v, at, fresh_v);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const AdamwStep<float> step = adamw_step(constants, w[i], g[i], fresh_m[i], fresh_v[i]);
      w[i] = step.weight;
      fresh_m[i] = step.m;
      fresh_v[i] = step.v;
    }
    weights.template write_group<4>(at, w, key);
    m.write_group(tables.m, at, fresh_m);
    v.write_group(tables.v, at, fresh_v);
  }
  /* Without quantized states any cut into blocks will do. */
  adamw_blocks<M, V, W>(tables, constants, weights, gradient, m, v, has_blocks ? static_cast<int>(block) : kFastBlock,
                        units * kUnit / (has_blocks ? static_cast<int>(block) : kFastBlock), count, key);
}

template <class M, class V, class W>
__global__ void __launch_bounds__(kChunkThreads, 2) adamw_kernel(const AdamwCall call, bool half_gradient) {
  __shared__ Tables<M, V> tables;
  if (call.items != nullptr && is_left_out(*call.step)) {
    return;
  }
  M::prepare(tables.m);
  V::prepare(tables.v);
  __syncthreads();
  for (int64_t chunk = blockIdx.x; chunk < call.chunks; chunk += gridDim.x) {
    if (call.items != nullptr) {
      const mu_adamw_item& item = call.items[find_record(call.items, call.count, chunk)];
      adamw_span<M, V, W>(tables, item, call.step->scale, call.step->seed, 0,
                          span_of(item.elements, chunk - item.first_chunk), call.block, half_gradient);
    } else {
      adamw_span<M, V, W>(tables, call.one, call.one.params.gradient_scale, call.seed, call.first,
                          span_of(call.one.elements, chunk), call.block, half_gradient);
    }
  }
}

template <class M, class V>
mu_status launch_for_weights(State& state, const char* what, mu_type w_type, bool half_gradient,
                             const AdamwCall& call) {
  const dim3 grid = grid_of(call.chunks);
  const dim3 threads(kChunkThreads);
  return check(w_type == MU_BF16
                   ? launch(adamw_kernel<M, V, bf16>, grid, threads, 0, state.stream, call, half_gradient)
                   : launch(adamw_kernel<M, V, float>, grid, threads, 0, state.stream, call, half_gradient),
               what);
}

template <class M>
mu_status launch_for_v(State& state, const char* what, mu_format v_format, mu_type w_type, bool half_gradient,
                       const AdamwCall& call) {
  return v_format == MU_FORMAT_F32
             ? launch_for_weights<M, PlainFormat>(state, what, w_type, half_gradient, call)
             : launch_for_weights<M, SecondMomentFormat>(state, what, w_type, half_gradient, call);
}

mu_status launch_adamw(State& state, const char* what, mu_format m_format, mu_format v_format, mu_type w_type,
                       mu_type gradient_type, const AdamwCall& call) {
  const bool half_gradient = gradient_type == MU_BF16;
  switch (m_format) {
    case MU_FORMAT_INT8_LINEAR:
      return launch_for_v<LinearFormat>(state, what, v_format, w_type, half_gradient, call);
    case MU_FORMAT_INT8_DYNAMIC_SIGNED:
      return launch_for_v<DynamicSignedFormat>(state, what, v_format, w_type, half_gradient, call);
    default:
      return launch_for_v<PlainFormat>(state, what, v_format, w_type, half_gradient, call);
  }
}

}  // namespace

mu_status adamw_many(const mu_context* context, int64_t block, mu_type w_type, mu_type gradient_type,
                     mu_format m_format, mu_format v_format, const mu_adamw_item* items, int64_t count, int64_t chunks,
                     const mu_step* step) {
  const char* what = "mu_adamw_many";
  State* state = nullptr;
  const mu_status entered = enter(context, what, &state);
  if (entered != MU_OK || chunks == 0) {
    return entered;
  }
  const AdamwCall call{items, count, chunks, step, mu_adamw_item{}, 0, 0, block};
  return launch_adamw(*state, what, m_format, v_format, w_type, gradient_type, call);
}

mu_status adamw(const mu_context* context, const mu_adamw_params* params, int64_t block, void* w, mu_type w_type,
                float* master, const void* gradient, mu_type gradient_type, mu_format m_format, void* m,
                float* m_scales, mu_format v_format, void* v, float* v_scales, const mu_rounding* rounding,
                int64_t begin, int64_t end) {
  const char* what = "mu_adamw";
  State* state = nullptr;
  const mu_status entered = enter(context, what, &state);
  if (entered != MU_OK || begin == end) {
    return entered;
  }
  mu_adamw_item one{};
  one.weights = static_cast<char*>(w) + begin * (w_type == MU_BF16 ? 2 : 4);
  one.master = master == nullptr ? nullptr : master + begin;
  one.gradient = static_cast<const char*>(gradient) + begin * (gradient_type == MU_BF16 ? 2 : 4);
  one.m = static_cast<char*>(m) + begin * (m_format == MU_FORMAT_F32 ? 4 : 1);
  one.m_scales = m_format == MU_FORMAT_F32 ? nullptr : m_scales + begin / block;
  one.v = static_cast<char*>(v) + begin * (v_format == MU_FORMAT_F32 ? 4 : 1);
  one.v_scales = v_format == MU_FORMAT_F32 ? nullptr : v_scales + begin / block;
  one.elements = end - begin;
  one.params = *params;
  one.stochastic = rounding != nullptr ? 1 : 0;
  one.rounding_step = rounding != nullptr ? rounding->step : 0;
  one.rounding_parameter = rounding != nullptr ? rounding->parameter : 0;
  const AdamwCall call{nullptr, 1,   chunks_of(end - begin), nullptr, one, rounding != nullptr ? rounding->seed : 0,
                       begin,   block};
  return launch_adamw(*state, what, m_format, v_format, w_type, gradient_type, call);
}

}  // namespace muonium::cuda
