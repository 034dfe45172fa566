/*
 * embedding.cu - rows of a table by token, and their gradients added back.
 *
 * Adding back uses no atomic additions, so that the same rows give the same bits. A block per row and slice of columns first
 * looks whether its token came before; if so, it is done. Otherwise it goes through the tokens behind it and adds up all rows
 * of its token, in their order, in registers. The looking costs count^2 / 2 comparisons per slice, 1.3e8 for 16384 rows (some
 * tens of microseconds); adding reads each row once, but rows of ONE token are read by one block after the other: a token
 * that is a tenth of the rows bounds the time.
 */
#include "cuda/launch.h"
#include "cuda/pieces.h"
#include "cuda/state.h"
#include "cuda/table.h"
#include "cuda/typed.h"

namespace muonium::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRows = kThreads / kWarp;
/* Tokens that a thread looks at between two barriers. */
constexpr int kLooks = 8;
/* Rows whose loads are under way together. */
constexpr int kAhead = 4;

template <class T, int n>
__global__ void __launch_bounds__(kThreads)
gather(const T* table, const int32_t* tokens, T* out, int64_t vocab, int64_t cols, int64_t row_begin,
       int64_t row_end) {
  const int64_t pieces = cols / n;
  for (int64_t row = row_begin + first_item(kRows) + warp_index(); row < row_end; row += item_stride(kRows)) {
    const int64_t token = tokens[row];
    const bool valid = token >= 0 && token < vocab;
    const T* const from = table + (valid ? token : 0) * cols;
    T* const to = out + row * cols;
    for (int64_t piece = lane_index(); piece < pieces; piece += kWarp) {
      float x[n];
      if (valid) {
        load_piece(from + piece * n, x);
      } else {
#pragma unroll
        for (int e = 0; e < n; ++e) {
          x[e] = float_of_bits(0x7fc00000u);
        }
      }
      store_piece(to + piece * n, x);
    }
  }
}

/* Whether tokens[0 ... row - 1] has the token; the same answer in all threads. */
MU_DEVICE bool came_before(const int32_t* tokens, int64_t row, int32_t token) {
  for (int64_t begin = 0; begin < row; begin += kThreads * kLooks) {
    bool found = false;
#pragma unroll
    for (int look = 0; look < kLooks; ++look) {
      const int64_t i = begin + look * kThreads + threadIdx.x;
      found = found || (i < row && tokens[i] == token);
    }
    if (__syncthreads_or(found) != 0) {
      return true;
    }
  }
  return false;
}

/* The rows from `begin` on, at most one per thread, that have the token: their offsets from begin, in order. */
struct Matches {
  int count[kRows];
  int16_t offset[kThreads];

  MU_DEVICE int find(const int32_t* tokens, int64_t begin, int64_t end, int32_t token) {
    __syncthreads(); /* The last ones have been used. */
    const int64_t i = begin + threadIdx.x;
    const bool mine = i < end && tokens[i] == token;
    const uint32_t found = ballot(mine);
    const int warp = static_cast<int>(warp_index());
    if (lane_index() == 0) {
      count[warp] = __popc(found);
    }
    __syncthreads();
    int before = 0;
    int total = 0;
#pragma unroll
    for (int w = 0; w < kRows; ++w) {
      before += w < warp ? count[w] : 0;
      total += count[w];
    }
    if (mine) {
      offset[before + __popc(found & ((1u << lane_index()) - 1u))] = static_cast<int16_t>(threadIdx.x);
    }
    __syncthreads();
    return total;
  }
};

template <class T, class S, int n>
__global__ void __launch_bounds__(kThreads)
scatter_add(const T* rows, const int32_t* tokens, int64_t count, S* table, int64_t cols, int64_t vocab_begin,
            int64_t vocab_end) {
  __shared__ Matches matches;
  const int64_t pieces = cols / n;
  for (int64_t row = blockIdx.x; row < count; row += gridDim.x) {
    const int32_t token = tokens[row];
    if (token < vocab_begin || token >= vocab_end || came_before(tokens, row, token)) {
      continue;
    }
    const int64_t piece = static_cast<int64_t>(blockIdx.y) * kThreads + threadIdx.x;
    const bool has_piece = piece < pieces;
    S* const to = table + token * cols + piece * n;
    float sum[n] = {};
    if (has_piece) {
      load_piece(to, sum);
    }
    for (int64_t begin = row; begin < count; begin += kThreads) {
      const int found = matches.find(tokens, begin, count, token);
      const T* const from = rows + begin * cols + piece * n;
      for (int first = 0; first < found; first += kAhead) {
        Piece<T, n> held[kAhead];
#pragma unroll
        for (int a = 0; a < kAhead; ++a) {
          held[a].clear();
          if (has_piece && first + a < found) {
            held[a].load(from + matches.offset[first + a] * cols);
          }
        }
#pragma unroll
        for (int a = 0; a < kAhead; ++a) {
          if (first + a < found) {
            float x[n];
            held[a].widen(x);
#pragma unroll
            for (int e = 0; e < n; ++e) {
              sum[e] += x[e];
            }
          }
        }
      }
    }
    if (has_piece) {
      store_piece(to, sum);
    }
  }
}

template <class T, class S>
mu_status add(State& state, const char* name, const T* rows, const int32_t* tokens, int64_t count, S* table,
              int64_t cols, int64_t vocab_begin, int64_t vocab_end) {
  constexpr int n = kWide<T> > kWide<S> ? kWide<T> : kWide<S>;
  constexpr int64_t kMostSlices = 65535;
  const bool wide = cols % n == 0 && aligned16(rows) && aligned16(table);
  const int64_t pieces = cols / (wide ? n : 1);
  const int64_t slices = (pieces + kThreads - 1) / kThreads;
  if (slices > kMostSlices) {
    return fail(MU_UNSUPPORTED, "%s: cols is %lld, more than the %lld that a launch can have", name,
                static_cast<long long>(cols), static_cast<long long>(kMostSlices * kThreads * (wide ? n : 1)));
  }
  dim3 grid = blocks_for(count, 1);
  grid.y = static_cast<unsigned>(slices);
  return check(launch(wide ? scatter_add<T, S, n> : scatter_add<T, S, 1>, grid, dim3(kThreads), 0, state.stream, rows,
                      tokens, count, table, cols, vocab_begin, vocab_end),
               name);
}

}  // namespace

mu_status gather_rows(const mu_context* context, mu_type type, const void* table, const int32_t* tokens, void* out,
                      int64_t vocab, int64_t cols, int64_t row_begin, int64_t row_end) {
  const char* const name = "mu_gather_rows";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || row_begin == row_end || cols == 0) {
    return entered;
  }
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    const bool wide = cols % kWide<T> == 0 && aligned16(table) && aligned16(out);
    return check(launch(wide ? gather<T, kWide<T>> : gather<T, 1>, blocks_for(row_end - row_begin, kRows),
                        dim3(kThreads), 0, state->stream, as<T>(table), tokens, as<T>(out), vocab, cols, row_begin,
                        row_end),
                 name);
  });
}

mu_status scatter_add_rows(const mu_context* context, mu_type type, const void* rows, const int32_t* tokens,
                           int64_t count, void* table, mu_type table_type, int64_t cols, int64_t vocab_begin,
                           int64_t vocab_end) {
  const char* const name = "mu_scatter_add_rows";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || count == 0 || cols == 0) {
    return entered;
  }
  return typed(type, [&](auto of_rows) {
    return typed(table_type, [&](auto of_table) {
      using T = typename decltype(of_rows)::Type;
      using S = typename decltype(of_table)::Type;
      return add<T, S>(*state, name, as<T>(rows), tokens, count, as<S>(table), cols, vocab_begin, vocab_end);
    });
  });
}

}  // namespace muonium::cuda
