/* momentum.cpp - Muon's momentum: dequantize, update, quantize, write u and add up its squares in one pass. */
#include "cpu/choose.h"
#include "cpu/simd/state.h"
#include "math/optimizer.h"

namespace muonium::cpu::MU_TIER {
namespace {

/*
 * From this many bytes of u on, a range's u is written past the caches. It saves reading the lines of u before writing
 * them, 2 of 10 bytes per parameter; what NS then reads from memory again is nothing beside its multiplications.
 * Smaller ranges are whole small matrices, which stay in the second-level cache until NS takes them.
 */
constexpr int64_t kStreamBytes = 128 * 1024;

/* One block, or part of it: whole pairs of vectors. */
template <bool stream, class State, class G, class U>
MU_MATH void momentum_block(const MomentumConstants& constants, const State& state, int64_t k, int64_t at,
                            int64_t count, const G* gradient, U* update, SquareSums& sums) {
  alignas(64) float fresh[kMaxBlock];
  const F32x16 scale(state.scale(k));
  Absmax absmax;
  for (int64_t j = 0; j < count; j += kPair) {
    const auto low = momentum_step(constants, state.decode(at + j, scale), load(gradient + j));
    const auto high = momentum_step(constants, state.decode(at + j + kLanes, scale), load(gradient + j + kLanes));
    if constexpr (State::kQuantized) {
      include(absmax, low.momentum);
      include(absmax, high.momentum);
      store_pair(fresh + j, low.momentum, high.momentum);
    } else {
      store_pair(state.elements + at + j, low.momentum, high.momentum);
    }
    add_squares(sums, low.update, high.update);
    if constexpr (stream) {
      stream_pair(update + j, low.update, high.update);
    } else {
      store_pair(update + j, low.update, high.update);
    }
  }
  if constexpr (State::kQuantized) {
    state.encode(k, at, count, fresh, absmax);
  }
}

template <class State, class G, class U>
[[gnu::noinline]] void short_block(const MomentumConstants& constants, const State& state, int64_t k, int64_t at,
                                   int64_t count, const G* gradient, U* update, SquareSums& sums) {
  const Padded<G> padded_gradient(gradient, count, G{});
  Padded<U> padded_update(update, 0, U{});
  PaddedState<State> padded_state(state, k, at, count);
  momentum_block<false>(constants, padded_state.view(), 0, 0, padded_gradient.padded(count), padded_gradient.elements,
                        padded_update.elements, sums);
  padded_state.copy_to(state, k, at, count);
  padded_update.copy_to(update, count);
}

template <bool stream, class State, class G, class U>
[[gnu::noinline]] void whole_blocks(const MomentumConstants& constants, const State& state, int64_t block, const G* gradient, U* update,
                  int64_t begin, int64_t end, SquareSums& sums) {
  for (int64_t i = begin; i < end; i += block) {
    momentum_block<stream>(constants, state, i / block, i, block, gradient + i, update + i, sums);
  }
  if constexpr (stream) {
    /* Streaming stores are ordered with nothing that follows; the thread that reads u must find it. */
    _mm_sfence();
  }
}

}  // namespace

mu_status muon_momentum(const mu_context*, mu_format format, int64_t block, const void* gradient,
                        mu_type gradient_type, float gradient_scale, void* momentum, float* scales, void* update,
                        mu_type update_type, double beta, int32_t nesterov, int64_t begin, int64_t end,
                        double* sum_squares) {
  const MomentumConstants constants = momentum_constants(gradient_scale, beta, nesterov);
  return for_state(format, momentum, scales, [&]<class State>(const State& state) {
    return for_type(gradient_type, [&]<class G>(G) {
      return for_type(update_type, [&]<class U>(U) {
        const G* g = static_cast<const G*>(gradient);
        U* u = static_cast<U*>(update);
        const int64_t whole = begin + (end - begin) / block * block;
        const bool stream = (whole - begin) * static_cast<int64_t>(sizeof(U)) >= kStreamBytes &&
                            reinterpret_cast<uintptr_t>(u + begin) % 64 == 0;
        SquareSums sums;
        if (stream) {
          whole_blocks<true>(constants, state, block, g, u, begin, whole, sums);
        } else {
          whole_blocks<false>(constants, state, block, g, u, begin, whole, sums);
        }
        if (whole < end) {
          short_block(constants, state, whole / block, whole, end - whole, g + whole, u + whole, sums);
        }
        *sum_squares = total(sums);
        return MU_OK;
      });
    });
  });
}

}  // namespace muonium::cpu::MU_TIER
