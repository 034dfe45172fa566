/*
 * momentum.cu - Muon's momentum: dequantize, update, quantize, write u and add up its squares, in one pass over memory. INT8 with
 * bf16 gradients and u moves 6.06 bytes per parameter, with FP32 gradients 8.06.
 *
 * Whole blocks of 128 of arrays that are aligned for it are taken two at a time by a warp (see elements.h), with the
 * loads of its next two already under way. All else goes the general way, a warp per block of any size: once over the
 * block for its absmax, and again to write.
 */
#include "cuda/launch.h"
#include "cuda/quantized.h"
#include "cuda/sums.h"
#include "cuda/table.h"
#include "math/optimizer.h"
#include "math/step.h"

namespace muonium::cuda {
namespace {

/* Many arrays, or (items is null) the one in `one`. */
struct MomentumCall {
  const mu_muon_item* items;
  int64_t count;
  int64_t chunks;
  const mu_step* step;
  mu_muon_item one;
  float gradient_scale;
  int32_t nesterov;
  int64_t block;
  double* sums; /* per chunk; of one array per block of threads */
};

/* A chunk of an array, its pointers moved to where it begins. */
template <class G, class U>
struct MomentumSpan {
  const G* gradient;
  void* momentum;
  float* scales;
  U* update;
  int count;
};

template <class G, class U>
MU_DEVICE MomentumSpan<G, U> span_at(const mu_muon_item& item, Span span, int64_t block, int64_t code_bytes) {
  return MomentumSpan<G, U>{static_cast<const G*>(item.gradient) + span.begin,
                            static_cast<char*>(item.momentum) + span.begin * code_bytes,
                            item.scales + span.begin / block, static_cast<U*>(item.update) + span.begin,
                            static_cast<int>(span.count)};
}

MU_DEVICE void add_square(double& sum, float x) {
  const double wide = static_cast<double>(x);
  sum = __fma_rn(wide, wide, sum); /* The product is exact: as if it were rounded before it is added. */
}

/* Two blocks of 128 as they come from memory. */
template <class G, int piece>
struct LoadedUnit {
  Group<G, piece> gradient;
  CodeGroup<piece> codes;
  float scale;

  template <class U>
  MU_DEVICE void load(const MomentumSpan<G, U>& span, int unit) {
    const int at = unit * kUnit + lane_offset<piece>();
    gradient.load(span.gradient + at);
    codes.load(static_cast<const uint8_t*>(span.momentum) + at);
    scale = span.scales[at / kFastBlock];
  }
};

/* The whole units of a span in blocks of 128. */
template <class Format, class G, class U, int piece>
MU_DEVICE void quantized_units(const typename Format::Tables& tables, const MomentumConstants& constants,
                               const MomentumSpan<G, U>& span, int units, double& sum) {
  int unit = static_cast<int>(warp_index());
  LoadedUnit<G, piece> next;
  if (unit < units) {
    next.load(span, unit);
  }
  while (unit < units) {
    const LoadedUnit<G, piece> loaded = next;
    const int at = unit * kUnit + lane_offset<piece>();
    unit += kChunkWarps;
    if (unit < units) {
      next.load(span, unit);
    }
    const float decay = constants.beta * loaded.scale;
    float gradient[kPerLane];
    float fresh[kPerLane];
    float update[kPerLane];
    loaded.gradient.widen(gradient);
    Format::stored_group(tables, loaded.codes.words, fresh);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const MomentumStep<float> step = momentum_step(constants, fresh[i], decay, gradient[i]);
      fresh[i] = step.momentum;
      update[i] = step.update;
      add_square(sum, step.update);
    }
    Group<U, piece>::store(span.update + at, update);
    const typename Format::Encoder encoder(block_absmax(fresh));
    CodeGroup<piece> codes;
    Format::encode_group(tables, encoder, fresh, codes.words);
    codes.store(static_cast<uint8_t*>(span.momentum) + at);
    if (lane_index() % kLanesPerBlock == 0) {
      span.scales[at / kFastBlock] = encoder.scale;
    }
  }
}

/* The blocks from `first` on of a span, of any size and at any address; the last may be short. */
template <class Format, class G, class U>
MU_DEVICE void quantized_blocks(const typename Format::Tables& tables, const MomentumConstants& constants,
                                const MomentumSpan<G, U>& span, int block, int first, double& sum) {
  uint8_t* const codes = static_cast<uint8_t*>(span.momentum);
  const int lane = static_cast<int>(lane_index());
  for (int k = first + static_cast<int>(warp_index()); k * block < span.count; k += kChunkWarps) {
    const int begin = k * block;
    const int end = min(begin + block, span.count);
    const float decay = constants.beta * span.scales[k];
    uint32_t absmax = 0;
    for (int i = begin + lane; i < end; i += kWarp) {
      const float stored = Format::stored(tables, codes[i]);
      const float fresh = momentum_step(constants, stored, decay, to_float(span.gradient[i])).momentum;
      absmax = max(absmax, magnitude_bits(fresh));
    }
    const typename Format::Encoder encoder(reduce_max(absmax));
    for (int i = begin + lane; i < end; i += kWarp) {
      const float stored = Format::stored(tables, codes[i]);
      const MomentumStep<float> step = momentum_step(constants, stored, decay, to_float(span.gradient[i]));
      codes[i] = Format::encode(tables, encoder, step.momentum);
      put(span.update + i, step.update);
      add_square(sum, step.update);
    }
    if (lane == 0) {
      span.scales[k] = encoder.scale;
    }
  }
}

/* FP32 momentum: `units` units, then the rest an element at a time. */
template <class G, class U>
MU_DEVICE void plain_elements(const MomentumConstants& constants, const MomentumSpan<G, U>& span, int units,
                              double& sum) {
  float* const momentum = static_cast<float*>(span.momentum);
  for (int unit = static_cast<int>(warp_index()); unit < units; unit += kChunkWarps) {
    const int at = unit * kUnit + lane_offset<4>();
    Group<float, 4> stored;
    Group<G, 4> loaded;
    stored.load(momentum + at);
    loaded.load(span.gradient + at);
    float fresh[kPerLane];
    float gradient[kPerLane];
    float update[kPerLane];
    stored.widen(fresh);
    loaded.widen(gradient);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const MomentumStep<float> step = momentum_step(constants, fresh[i], constants.beta, gradient[i]);
      fresh[i] = step.momentum;
      update[i] = step.update;
      add_square(sum, step.update);
    }
    Group<float, 4>::store(momentum + at, fresh);
    Group<U, 4>::store(span.update + at, update);
  }
  for (int i = units * kUnit + static_cast<int>(threadIdx.x); i < span.count; i += kChunkThreads) {
    const MomentumStep<float> step =
        momentum_step(constants, momentum[i], constants.beta, to_float(span.gradient[i]));
    momentum[i] = step.momentum;
    put(span.update + i, step.update);
    add_square(sum, step.update);
  }
}

/* Both passes leave the same codes and u; which one a chunk takes shows in the last bits of its sum only. */
template <class Format, class G, class U>
MU_DEVICE void momentum_of_span(const typename Format::Tables& tables, const MomentumConstants& constants,
                                const MomentumSpan<G, U>& span, int block, double& sum) {
  if constexpr (kIsQuantized<Format>) {
    constexpr int piece = kPiece<G, U>;
    const bool fast = block == kFastBlock && is_aligned(span.gradient, Group<G, piece>::kAlignment) &&
                      is_aligned(span.update, Group<U, piece>::kAlignment) &&
                      is_aligned(span.momentum, CodeGroup<piece>::kAlignment);
    const int units = fast ? span.count / kUnit : 0;
    quantized_units<Format, G, U, piece>(tables, constants, span, units, sum);
    quantized_blocks<Format>(tables, constants, span, block, units * (kUnit / kFastBlock), sum);
  } else {
    const bool fast = is_aligned(span.gradient, Group<G, 4>::kAlignment) &&
                      is_aligned(span.update, Group<U, 4>::kAlignment) &&
                      is_aligned(span.momentum, Group<float, 4>::kAlignment);
    plain_elements(constants, span, fast ? span.count / kUnit : 0, sum);
  }
}

/*
 * Blocks of threads per multiprocessor, by which the compiler limits the registers: with 768 to 1024 threads 24 to 40 KB of loads
 * are under way at a time, where the bandwidth of an H200 asks for about 16. The look-ups of a dynamic map and eight floats in
 * and out take more registers than 64.
 */
template <class Format, class G, class U>
inline constexpr int kResident = sizeof(typename Format::Tables) > 1 || sizeof(G) + sizeof(U) == 8 ? 3 : 4;

template <class Format, class G, class U>
__global__ void __launch_bounds__(kChunkThreads, (kResident<Format, G, U>)) muon_momentum_kernel(const MomentumCall call) {
  __shared__ typename Format::Tables tables;
  __shared__ double room[kChunkWarps];
  if (call.items != nullptr && is_left_out(*call.step)) {
    return;
  }
  Format::prepare(tables);
  __syncthreads();
  constexpr int64_t code_bytes = kIsQuantized<Format> ? 1 : 4;
  double total = 0.0;
  for (int64_t chunk = blockIdx.x; chunk < call.chunks; chunk += gridDim.x) {
    double sum = 0.0;
    if (call.items != nullptr) {
      const mu_muon_item& item = call.items[find_record(call.items, call.count, chunk)];
      const Span span = span_of(item.elements, chunk - item.first_chunk);
      const float gradient_scale = static_cast<float>(call.step->scale);
      momentum_of_span<Format>(tables, momentum_constants(gradient_scale, item.beta, call.nesterov),
                               span_at<G, U>(item, span, call.block, code_bytes), static_cast<int>(call.block), sum);
    } else {
      const Span span = span_of(call.one.elements, chunk);
      momentum_of_span<Format>(tables, momentum_constants(call.gradient_scale, call.one.beta, call.nesterov),
                               span_at<G, U>(call.one, span, call.block, code_bytes), static_cast<int>(call.block),
                               sum);
    }
    const double of_chunk = block_sum(sum, room);
    total += of_chunk;
    if (call.items != nullptr && threadIdx.x == 0) {
      call.sums[chunk] = of_chunk;
    }
  }
  if (call.items == nullptr && threadIdx.x == 0) {
    call.sums[blockIdx.x] = total;
  }
}

template <class Format, class G>
mu_status launch_for_update(State& state, const char* what, mu_type update_type, dim3 grid, const MomentumCall& call) {
  const dim3 threads(kChunkThreads);
  return check(update_type == MU_BF16
                   ? launch(muon_momentum_kernel<Format, G, bf16>, grid, threads, 0, state.stream, call)
                   : launch(muon_momentum_kernel<Format, G, float>, grid, threads, 0, state.stream, call),
               what);
}

template <class Format>
mu_status launch_for_gradient(State& state, const char* what, mu_type gradient_type, mu_type update_type, dim3 grid,
                              const MomentumCall& call) {
  return gradient_type == MU_BF16 ? launch_for_update<Format, bf16>(state, what, update_type, grid, call)
                                  : launch_for_update<Format, float>(state, what, update_type, grid, call);
}

mu_status launch_momentum(State& state, const char* what, mu_format format, mu_type gradient_type, mu_type update_type,
                          dim3 grid, const MomentumCall& call) {
  switch (format) {
    case MU_FORMAT_INT8_LINEAR:
      return launch_for_gradient<LinearFormat>(state, what, gradient_type, update_type, grid, call);
    case MU_FORMAT_INT8_DYNAMIC_SIGNED:
      return launch_for_gradient<DynamicSignedFormat>(state, what, gradient_type, update_type, grid, call);
    default:
      return launch_for_gradient<PlainFormat>(state, what, gradient_type, update_type, grid, call);
  }
}

}  // namespace

mu_status muon_momentum_many(const mu_context* context, mu_format format, int64_t block, mu_type gradient_type,
                             mu_type update_type, int32_t nesterov, const mu_muon_item* items, int64_t count,
                             int64_t chunks, const mu_step* step, double* sums) {
  const char* what = "mu_muon_momentum_many";
  State* state = nullptr;
  const mu_status entered = enter(context, what, &state);
  if (entered != MU_OK || chunks == 0) {
    return entered;
  }
  const MomentumCall call{items, count, chunks, step, mu_muon_item{}, 1.0f, nesterov, block, sums};
  return launch_momentum(*state, what, format, gradient_type, update_type, grid_of(chunks), call);
}

mu_status muon_momentum(const mu_context* context, mu_format format, int64_t block, const void* gradient,
                        mu_type gradient_type, float gradient_scale, void* momentum, float* scales, void* update,
                        mu_type update_type, double beta, int32_t nesterov, int64_t begin, int64_t end,
                        double* sum_squares) {
  const char* what = "mu_muon_momentum";
  State* state = nullptr;
  double* partial = nullptr;
  mu_status status = enter(context, what, &state);
  if (status == MU_OK) {
    status = partial_sums(*state, what, &partial);
  }
  if (status != MU_OK) {
    return status;
  }
  const int64_t chunks = chunks_of(end - begin);
  const int64_t blocks = chunks < kSumBlocks ? chunks : kSumBlocks;
  if (chunks > 0) {
    const int64_t code_bytes = format == MU_FORMAT_F32 ? 4 : 1;
    mu_muon_item one{};
    one.gradient = static_cast<const char*>(gradient) + begin * (gradient_type == MU_BF16 ? 2 : 4);
    one.momentum = static_cast<char*>(momentum) + begin * code_bytes;
    one.scales = scales + begin / block;
    one.update = static_cast<char*>(update) + begin * (update_type == MU_BF16 ? 2 : 4);
    one.elements = end - begin;
    one.beta = beta;
    const MomentumCall call{nullptr, 1, chunks, nullptr, one, gradient_scale, nesterov, block, partial};
    status = launch_momentum(*state, what, format, gradient_type, update_type, grid_of(blocks), call);
  }
  return status == MU_OK ? add_partial_sums(*state, what, partial, blocks, sum_squares) : status;
}

}  // namespace muonium::cuda
