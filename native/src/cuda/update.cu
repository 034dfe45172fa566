/* update.cu - Muon's step of the weights, w <- decay * w - rate * O. */
#include "cuda/chunks.h"
#include "cuda/launch.h"
#include "cuda/state.h"
#include "cuda/table.h"
#include "cuda/weights.h"
#include "math/optimizer.h"
#include "math/step.h"

namespace muonium::cuda {
namespace {

/* Many arrays, or (items is null) the one in `one` with the seed beside it. */
struct UpdateCall {
  const mu_muon_item* items;
  int64_t count;
  int64_t chunks;
  const mu_step* step;
  mu_muon_item one;
  uint64_t seed;
  int64_t first; /* the index in the parameter of the one array's first element */
};

template <class W, class O>
MU_DEVICE void update_span(const mu_muon_item& item, Span span, uint64_t seed, int64_t first) {
  constexpr int piece = kPiece<W, O>;
  const Weights<W> weights{static_cast<W*>(item.weights) + span.begin,
                           item.master == nullptr ? nullptr : item.master + span.begin, first + span.begin,
                           WeightRounding{{seed, item.rounding_step, item.rounding_parameter}, item.stochastic != 0}};
  const RoundingKey key = rounding_key(weights.rounding.key, 0);
  const O* const direction = static_cast<const O*>(item.direction) + span.begin;
  const bool fast = weights.template is_fast<piece>() && is_aligned(direction, Group<O, piece>::kAlignment);
  const int count = static_cast<int>(span.count);
  const int units = fast ? count / kUnit : 0;
  const float decay = item.decay;
  const float rate = item.rate;
#pragma unroll 2
  for (int unit = static_cast<int>(warp_index()); unit < units; unit += kChunkWarps) {
    const int at = unit * kUnit + lane_offset<piece>();
    Group<O, piece> group;
    group.load(direction + at);
    float w[kPerLane];
    float o[kPerLane];
    weights.template read_group<piece>(at, w);
    group.widen(o);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      w[i] = muon_weight(decay, rate, w[i], o[i]);
    }
    weights.template write_group<piece>(at, w, key);
  }
  for (int i = units * kUnit + static_cast<int>(threadIdx.x); i < count; i += kChunkThreads) {
    weights.write(i, muon_weight(decay, rate, weights.read(i), to_float(direction[i])), key);
  }
}

template <class W, class O>
__global__ void __launch_bounds__(kChunkThreads, 4) muon_update_kernel(const UpdateCall call) {
  if (call.items != nullptr && is_left_out(*call.step)) {
    return;
  }
  for (int64_t chunk = blockIdx.x; chunk < call.chunks; chunk += gridDim.x) {
    if (call.items != nullptr) {
      const mu_muon_item& item = call.items[find_record(call.items, call.count, chunk)];
      update_span<W, O>(item, span_of(item.elements, chunk - item.first_chunk), call.step->seed, 0);
    } else {
      update_span<W, O>(call.one, span_of(call.one.elements, chunk), call.seed, call.first);
    }
  }
}

/* A matrix whose rows are not one after the other. */
struct UpdateRows {
  mu_muon_item item; /* weights, master and direction of the whole matrix */
  uint64_t seed;
  int64_t w_ld;
  int64_t o_ld;
  int64_t cols;
  int64_t row_begin;
  int64_t row_end;
};

template <class W, class O>
__global__ void __launch_bounds__(kChunkThreads, 4) muon_update_rows_kernel(const UpdateRows call) {
  const mu_muon_item& item = call.item;
  const WeightRounding rounding{{call.seed, item.rounding_step, item.rounding_parameter}, item.stochastic != 0};
  const RoundingKey key = rounding_key(rounding.key, 0);
  const int64_t total = (call.row_end - call.row_begin) * call.cols;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kChunkThreads;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * kChunkThreads + threadIdx.x; k < total; k += stride) {
    const int64_t i = call.row_begin + k / call.cols;
    const int64_t j = k % call.cols;
    const int64_t element = i * call.cols + j;
    const Weights<W> weights{static_cast<W*>(item.weights) + i * call.w_ld + j,
                             item.master == nullptr ? nullptr : item.master + element, element, rounding};
    const O direction = static_cast<const O*>(item.direction)[i * call.o_ld + j];
    weights.write(0, muon_weight(item.decay, item.rate, weights.read(0), to_float(direction)), key);
  }
}

template <class Dense, class Call>
mu_status launch_for_types(State& state, const char* what, mu_type w_type, mu_type o_type, dim3 grid,
                           const Call& call) {
  const dim3 threads(kChunkThreads);
  const auto started = w_type == MU_BF16
                           ? (o_type == MU_BF16 ? launch(Dense::template kernel<bf16, bf16>(), grid, threads, 0, state.stream, call)
                                                : launch(Dense::template kernel<bf16, float>(), grid, threads, 0, state.stream, call))
                           : (o_type == MU_BF16 ? launch(Dense::template kernel<float, bf16>(), grid, threads, 0, state.stream, call)
                                                : launch(Dense::template kernel<float, float>(), grid, threads, 0, state.stream, call));
  return check(started, what);
}

struct InChunks {
  template <class W, class O>
  static auto kernel() {
    return muon_update_kernel<W, O>;
  }
};

struct InRows {
  template <class W, class O>
  static auto kernel() {
    return muon_update_rows_kernel<W, O>;
  }
};

}  // namespace

mu_status muon_update_many(const mu_context* context, mu_type w_type, mu_type o_type, const mu_muon_item* items,
                           int64_t count, int64_t chunks, const mu_step* step) {
  const char* what = "mu_muon_update_many";
  State* state = nullptr;
  const mu_status entered = enter(context, what, &state);
  if (entered != MU_OK || chunks == 0) {
    return entered;
  }
  const UpdateCall call{items, count, chunks, step, mu_muon_item{}, 0, 0};
  return launch_for_types<InChunks>(*state, what, w_type, o_type, grid_of(chunks), call);
}

mu_status muon_update(const mu_context* context, void* w, mu_type w_type, int64_t w_ld, float* master, const void* o,
                      mu_type o_type, int64_t o_ld, float decay, float rate, const mu_rounding* rounding, int64_t cols,
                      int64_t row_begin, int64_t row_end) {
  const char* what = "mu_muon_update";
  State* state = nullptr;
  const mu_status entered = enter(context, what, &state);
  const int64_t elements = (row_end - row_begin) * cols;
  if (entered != MU_OK || elements == 0) {
    return entered;
  }
  mu_muon_item one{};
  one.weights = w;
  one.master = master;
  one.direction = o;
  one.elements = elements;
  one.decay = decay;
  one.rate = rate;
  one.stochastic = rounding != nullptr ? 1 : 0;
  one.rounding_step = rounding != nullptr ? rounding->step : 0;
  one.rounding_parameter = rounding != nullptr ? rounding->parameter : 0;
  const uint64_t seed = rounding != nullptr ? rounding->seed : 0;
  const int64_t rows = row_end - row_begin;
  if (rows == 1 || (w_ld == cols && o_ld == cols)) {
    const int64_t first = row_begin * cols;
    one.weights = static_cast<char*>(w) + row_begin * w_ld * (w_type == MU_BF16 ? 2 : 4);
    one.master = master == nullptr ? nullptr : master + first;
    one.direction = static_cast<const char*>(o) + row_begin * o_ld * (o_type == MU_BF16 ? 2 : 4);
    const UpdateCall call{nullptr, 1, chunks_of(elements), nullptr, one, seed, first};
    return launch_for_types<InChunks>(*state, what, w_type, o_type, grid_of(call.chunks), call);
  }
  const UpdateRows call{one, seed, w_ld, o_ld, cols, row_begin, row_end};
  return launch_for_types<InRows>(*state, what, w_type, o_type, grid_of(chunks_of(elements)), call);
}

}  // namespace muonium::cuda
