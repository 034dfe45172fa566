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

/*
 * How many elements ahead the lines of gradient and codes are asked for: a page of FP32, because the processor's own
 * prefetching ends at each page. Only beside codes, where it takes a twentieth off the time; beside FP32 momentum, of
 * which more lines are read for less work, it costs as much.
 */
constexpr int64_t kAhead = 1024;

/* The step of a block, or of a padded one (whole quads); fresh[j] is the momentum of element j. */
template <bool stream, class State, class G, class U>
MU_MATH void step_block(const MomentumConstants& constants, const State& state, int64_t k, int64_t at, int64_t count,
                        const G* gradient, U* update, float* fresh, Absmax& absmax, RunSums& sums) {
  const F32x16 decay(constants.beta * state.scale(k));
  for (int64_t j = 0; j < count; j += kQuad) {
    /*
     * Each of the arrays comes to another page, of 4 KiB mostly, after 16 to 64 quads; and a streaming store or a
     * prefetch that waits for a translation holds up those behind it. That was a fourth of the time.
     */
    prefetch_page(gradient + j);
    prefetch_page(state.elements + at + j);
    prefetch_page(update + j);
    if constexpr (State::kQuantized) {
      prefetch(gradient + j, kAhead, kQuad);
      prefetch(state.elements + at + j, kAhead, kQuad);
    }
    F32x16 fresh_update[4];
    const auto steps = [&](bool nesterov) {
      const MomentumConstants c = {constants.beta, constants.inflow, nesterov};
      for (int64_t i = 0; i < 4; ++i) {
        const int64_t from = j + i * kLanes;
        const auto step = momentum_step(c, state.stored(at + from), decay, load(gradient + from));
        store(fresh + from, step.momentum);
        if constexpr (State::kQuantized) {
          include(absmax, step.momentum);
        }
        fresh_update[i] = step.update;
      }
    };
    /* Asked once per quad: asked for each vector, it would keep the compiler from mixing their instructions. */
    if (constants.nesterov) {
      steps(true);
    } else {
      steps(false);
    }
    const bool finite = add_run(sums, fresh_update);
    store_quad<stream>(update + j, fresh_update, finite);
  }
}

template <class State, class G, class U>
[[gnu::noinline]] void short_block(const MomentumConstants& constants, const State& state, int64_t k, int64_t at,
                                   int64_t count, const G* gradient, U* update, RunSums& sums) {
  const Padded<G> padded_gradient(gradient, count, G{});
  Padded<U> padded_update(update, 0, U{});
  PaddedState<State> padded_state(state, k, at, count);
  const State view = padded_state.view();
  const int64_t padded = padded_gradient.padded(count);
  alignas(64) float fresh[State::kQuantized ? kMaxBlock : 1];
  Absmax absmax;
  if constexpr (State::kQuantized) {
    step_block<false>(constants, view, 0, 0, padded, padded_gradient.elements, padded_update.elements, fresh, absmax,
                      sums);
    view.encode(0, padded, fresh, view.begin_encode(0, absmax));
  } else {
    step_block<false>(constants, view, 0, 0, padded, padded_gradient.elements, padded_update.elements, view.elements,
                      absmax, sums);
  }
  padded_state.copy_to(state, k, at, count);
  padded_update.copy_to(update, count);
}

/*
 * Works on copies of its arguments: as far as the compiler knows, every code that is stored (a byte) might change what
 * a reference refers to, which then would be loaded and stored for every vector.
 */
template <bool stream, class State, class G, class U>
[[gnu::noinline]] void whole_blocks(const MomentumConstants constants, const State state, int64_t block,
                                    const G* gradient, U* update, int64_t begin, int64_t end, RunSums& result) {
  RunSums sums = result;
  if constexpr (State::kQuantized) {
    /* A block is encoded after the step of the next one, so that nothing waits for its absmax and the divisions. */
    alignas(64) float fresh[2][kMaxBlock];
    typename State::Divisor previous{};
    int64_t k = begin / block;
    for (int64_t i = begin; i < end; i += block, ++k) {
      Absmax absmax;
      step_block<stream>(constants, state, k, i, block, gradient + i, update + i, fresh[k % 2], absmax, sums);
      const typename State::Divisor divisor = state.begin_encode(k, absmax);
      if (i > begin) {
        state.encode(i - block, block, fresh[(k - 1) % 2], previous);
      }
      previous = divisor;
    }
    if (begin < end) {
      state.encode(end - block, block, fresh[(k - 1) % 2], previous);
    }
  } else {
    Absmax unused;
    step_block<stream>(constants, state, 0, begin, end - begin, gradient + begin, update + begin,
                       state.elements + begin, unused, sums);
  }
  if constexpr (stream) {
    /* Streaming stores are ordered with nothing that follows; the thread that reads u must find it. */
    _mm_sfence();
  }
  result = sums;
}

/* Calls body with the state of the format, one that the ABI lets through. */
template <class Body>
mu_status for_momentum_state(mu_format format, void* momentum, float* scales, const Body& body) {
  switch (format) {
    case MU_FORMAT_INT8_LINEAR:
      return body(LinearState{static_cast<int8_t*>(momentum), scales});
    case MU_FORMAT_INT8_DYNAMIC_SIGNED:
      return body(DynamicSignedState{static_cast<uint8_t*>(momentum), scales});
    default:
      return body(F32State{static_cast<float*>(momentum), nullptr});
  }
}

}  // namespace

mu_status muon_momentum(const mu_context*, mu_format format, int64_t block, const void* gradient,
                        mu_type gradient_type, float gradient_scale, void* momentum, float* scales, void* update,
                        mu_type update_type, double beta, int32_t nesterov, int64_t begin, int64_t end,
                        double* sum_squares) {
  const MomentumConstants constants = momentum_constants(gradient_scale, beta, nesterov);
  return for_momentum_state(format, momentum, scales, [&]<class State>(const State& state) {
    return for_type(gradient_type, [&]<class G>(G) {
      return for_type(update_type, [&]<class U>(U) {
        const G* g = static_cast<const G*>(gradient);
        U* u = static_cast<U*>(update);
        const int64_t whole = begin + (end - begin) / block * block;
        const bool stream = (whole - begin) * static_cast<int64_t>(sizeof(U)) >= kStreamBytes &&
                            reinterpret_cast<uintptr_t>(u + begin) % 64 == 0;
        RunSums sums;
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
