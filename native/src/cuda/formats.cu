/* formats.cu - quantize and dequantize. Cut as momentum.cu is: blocks of 128 two at a time by a warp, all else a warp per block. */
#include "cuda/chunks.h"
#include "cuda/launch.h"
#include "cuda/quantized.h"
#include "cuda/state.h"
#include "cuda/table.h"

namespace muonium::cuda {
namespace {

/* Codes and scales, and the plain array (const when it is read), all moved to the range's beginning. */
template <class T>
struct FormatCall {
  T* values;
  uint8_t* codes;
  float* scales;
  int64_t elements;
  int64_t chunks;
  int64_t block;
};

template <class T>
MU_DEVICE FormatCall<T> chunk_of(const FormatCall<T>& call, int64_t chunk, int& count) {
  const Span span = span_of(call.elements, chunk);
  count = static_cast<int>(span.count);
  return FormatCall<T>{call.values + span.begin, call.codes + span.begin, call.scales + span.begin / call.block,
                       span.count, 1, call.block};
}

/* How many whole units of a chunk can go the fast way. */
template <class T, int piece>
MU_DEVICE int fast_units(const FormatCall<T>& chunk, int count) {
  const bool fast = chunk.block == kFastBlock && is_aligned(chunk.values, Group<T, piece>::kAlignment) &&
                    is_aligned(chunk.codes, CodeGroup<piece>::kAlignment);
  return fast ? count / kUnit : 0;
}

template <class Format, class T>
__global__ void __launch_bounds__(kChunkThreads, 3) quantize_kernel(const FormatCall<T> call) {
  __shared__ typename Format::Tables tables;
  Format::prepare(tables);
  __syncthreads();
  constexpr int piece = kPiece<T, T>;
  const int block = static_cast<int>(call.block);
  const int lane = static_cast<int>(lane_index());
  for (int64_t index = blockIdx.x; index < call.chunks; index += gridDim.x) {
    int count = 0;
    const FormatCall<T> chunk = chunk_of(call, index, count);
    const int units = fast_units<T, piece>(chunk, count);
#pragma unroll 2
    for (int unit = static_cast<int>(warp_index()); unit < units; unit += kChunkWarps) {
      const int at = unit * kUnit + lane_offset<piece>();
      Group<T, piece> group;
      group.load(chunk.values + at);
      float x[kPerLane];
      group.widen(x);
      const typename Format::Encoder encoder(block_absmax(x));
      CodeGroup<piece> codes;
      Format::encode_group(tables, encoder, x, codes.words);
      codes.store(chunk.codes + at);
      if (lane_index() % kLanesPerBlock == 0) {
        chunk.scales[at / kFastBlock] = encoder.scale;
      }
    }
    for (int k = units * kUnit / block + static_cast<int>(warp_index()); k * block < count; k += kChunkWarps) {
      const int begin = k * block;
      const int end = min(begin + block, count);
      uint32_t absmax = 0;
      for (int i = begin + lane; i < end; i += kWarp) {
        absmax = max(absmax, magnitude_bits(to_float(chunk.values[i])));
      }
      const typename Format::Encoder encoder(reduce_max(absmax));
      for (int i = begin + lane; i < end; i += kWarp) {
        chunk.codes[i] = Format::encode(tables, encoder, to_float(chunk.values[i]));
      }
      if (lane == 0) {
        chunk.scales[k] = encoder.scale;
      }
    }
  }
}

template <class Format, class T>
__global__ void __launch_bounds__(kChunkThreads, 3) dequantize_kernel(const FormatCall<T> call) {
  __shared__ typename Format::Tables tables;
  Format::prepare(tables);
  __syncthreads();
  constexpr int piece = kPiece<T, T>;
  const int block = static_cast<int>(call.block);
  for (int64_t index = blockIdx.x; index < call.chunks; index += gridDim.x) {
    int count = 0;
    const FormatCall<T> chunk = chunk_of(call, index, count);
    const int units = fast_units<T, piece>(chunk, count);
#pragma unroll 2
    for (int unit = static_cast<int>(warp_index()); unit < units; unit += kChunkWarps) {
      const int at = unit * kUnit + lane_offset<piece>();
      CodeGroup<piece> codes;
      codes.load(chunk.codes + at);
      const float scale = chunk.scales[at / kFastBlock];
      float x[kPerLane];
      Format::stored_group(tables, codes.words, x);
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        x[i] *= scale;
      }
      Group<T, piece>::store(chunk.values + at, x);
    }
    for (int i = units * kUnit + static_cast<int>(threadIdx.x); i < count; i += kChunkThreads) {
      put(chunk.values + i, Format::stored(tables, chunk.codes[i]) * chunk.scales[i / block]);
    }
  }
}

struct Quantize {
  template <class Format, class T>
  static auto kernel() {
    return quantize_kernel<Format, T>;
  }
};

struct Dequantize {
  template <class Format, class T>
  static auto kernel() {
    return dequantize_kernel<Format, T>;
  }
};

template <class Pass, class Format, class T>
cudaError_t start_pass(State& state, const FormatCall<T>& call) {
  return launch(Pass::template kernel<Format, T>(), grid_of(call.chunks), dim3(kChunkThreads), 0, state.stream, call);
}

template <class Pass, class T>
mu_status launch_pass(State& state, const char* what, mu_format format, int64_t block, T* values, void* codes,
                      float* scales, int64_t begin, int64_t end) {
  const FormatCall<T> call{values + begin,
                           static_cast<uint8_t*>(codes) + begin,
                           scales + begin / block,
                           end - begin,
                           chunks_of(end - begin),
                           block};
  switch (format) {
    case MU_FORMAT_INT8_DYNAMIC_SIGNED:
      return check(start_pass<Pass, DynamicSignedFormat>(state, call), what);
    case MU_FORMAT_INT8_DYNAMIC_UNSIGNED:
      return check(start_pass<Pass, DynamicUnsignedFormat>(state, call), what);
    case MU_FORMAT_FP8_E4M3:
      return check(start_pass<Pass, Fp8Format<E4M3>>(state, call), what);
    case MU_FORMAT_FP8_E5M2:
      return check(start_pass<Pass, Fp8Format<E5M2>>(state, call), what);
    default:
      return check(start_pass<Pass, LinearFormat>(state, call), what);
  }
}

}  // namespace

mu_status quantize(const mu_context* context, mu_format format, int64_t block, const void* x, mu_type x_type,
                   void* codes, float* scales, int64_t begin, int64_t end) {
  const char* what = "mu_quantize";
  State* state = nullptr;
  const mu_status entered = enter(context, what, &state);
  if (entered != MU_OK || begin == end) {
    return entered;
  }
  /* Only read. */
  void* values = const_cast<void*>(x);
  return x_type == MU_BF16 ? launch_pass<Quantize>(*state, what, format, block, static_cast<bf16*>(values), codes,
                                                   scales, begin, end)
                           : launch_pass<Quantize>(*state, what, format, block, static_cast<float*>(values), codes,
                                                   scales, begin, end);
}

mu_status dequantize(const mu_context* context, mu_format format, int64_t block, const void* codes,
                     const float* scales, void* out, mu_type out_type, int64_t begin, int64_t end) {
  const char* what = "mu_dequantize";
  State* state = nullptr;
  const mu_status entered = enter(context, what, &state);
  if (entered != MU_OK || begin == end) {
    return entered;
  }
  /* Only read. */
  void* source = const_cast<void*>(codes);
  float* source_scales = const_cast<float*>(scales);
  return out_type == MU_BF16 ? launch_pass<Dequantize>(*state, what, format, block, static_cast<bf16*>(out), source,
                                                       source_scales, begin, end)
                             : launch_pass<Dequantize>(*state, what, format, block, static_cast<float*>(out), source,
                                                       source_scales, begin, end);
}

}  // namespace muonium::cuda
