/* attention.cu - mu_attention and its gradients: on tensor cores in bf16, plainly in FP32 and for arrays that are not aligned. */
#include "cuda/attention_plain.h"
#include "cuda/attention_tensor.h"
#include "cuda/launch.h"
#include "cuda/state.h"
#include "cuda/table.h"
#include "cuda/typed.h"

namespace muonium::cuda {
namespace {

constexpr int64_t kMostBlocks = 0x7fffffff;

/* A block per tile of every head; each is launched at once, so they must fit into a grid. */
mu_status grid_of(const char* name, const AttentionShape& shape, int64_t heads, int64_t tile, dim3* grid) {
  const int64_t tiles = tiles_of(shape.positions, tile);
  const int64_t pairs = shape.sequences * heads;
  if (pairs > kMostBlocks / tiles) {
    return fail(MU_UNSUPPORTED, "%s: %lld tiles of %lld heads are more than the %lld blocks of a launch", name,
                static_cast<long long>(tiles), static_cast<long long>(pairs), static_cast<long long>(kMostBlocks));
  }
  *grid = dim3(static_cast<unsigned>(tiles * pairs));
  return MU_OK;
}

/* body.template run<D>() for the least D that holds the head's dimension. */
template <class Body>
mu_status by_dimension(int head_dim, const Body& body) {
  if (head_dim <= 32) {
    return body.template run<32>();
  }
  if (head_dim <= 64) {
    return body.template run<64>();
  }
  if (head_dim <= 80) {
    return body.template run<80>();
  }
  return head_dim <= 96 ? body.template run<96>() : body.template run<128>();
}

struct Forward {
  const char* name;
  State* state;
  AttentionShape shape;
  const void* q;
  const void* k;
  const void* v;
  void* o;
  float* lse;

  template <int D>
  mu_status run() const {
    dim3 grid;
    const mu_status fits = grid_of(name, shape, shape.heads, kAttentionTile, &grid);
    return fits != MU_OK ? fits
                         : check(launch(attention_tensor<D>, grid, dim3(kAttentionThreads), 0, state->stream,
                                        as<bf16>(q), as<bf16>(k), as<bf16>(v), as<bf16>(o), lse, shape),
                                 name);
  }

  template <class T>
  mu_status plain() const {
    dim3 grid;
    const mu_status fits = grid_of(name, shape, shape.heads, kOwnRows, &grid);
    const size_t bytes = static_cast<size_t>(plain_forward_floats(shape.head_dim)) * sizeof(float);
    return fits != MU_OK ? fits
                         : check(launch(attention_plain<T>, grid, dim3(kPlainAttentionThreads), bytes, state->stream,
                                        as<T>(q), as<T>(k), as<T>(v), as<T>(o), lse, shape),
                                 name);
  }
};

struct Backward {
  const char* name;
  State* state;
  AttentionShape shape;
  const void* q;
  const void* k;
  const void* v;
  const float* lse;
  const void* d_o;
  const float* delta;
  void* dq;
  void* dk;
  void* dv;

  template <int D>
  mu_status run() const {
    dim3 grid;
    mu_status status = grid_of(name, shape, shape.heads, kAttentionTile, &grid);
    if (status == MU_OK) {
      status = check(launch(attention_query_gradient<D>, grid, dim3(kAttentionThreads), 0, state->stream, as<bf16>(q),
                            as<bf16>(k), as<bf16>(v), lse, as<bf16>(d_o), delta, as<bf16>(dq), shape),
                     name);
    }
    if (status == MU_OK) {
      status = grid_of(name, shape, shape.kv_heads, kAttentionTile, &grid);
    }
    return status != MU_OK
               ? status
               : check(launch(attention_key_gradient<D>, grid, dim3(kAttentionThreads), sizeof(KeyGradientRoom<D>),
                              state->stream, as<bf16>(q), as<bf16>(k), as<bf16>(v), lse, as<bf16>(d_o), delta,
                              as<bf16>(dk), as<bf16>(dv), shape),
                       name);
  }

  template <class T, bool kKeys>
  mu_status plain_half() const {
    dim3 grid;
    const mu_status fits = grid_of(name, shape, kKeys ? shape.kv_heads : shape.heads, kOwnRows, &grid);
    const size_t needed = static_cast<size_t>(plain_backward_floats(shape.head_dim)) * sizeof(float);
    /* A kernel's limit of shared memory is one for all threads and graphs: raised, it is raised to the same every time. */
    const size_t most = static_cast<size_t>(plain_backward_floats(kMostHeadDim)) * sizeof(float);
    const size_t bytes = needed > kSharedWithoutAsking ? most : needed;
    return fits != MU_OK ? fits
                         : check(launch(attention_plain_backward<T, kKeys>, grid, dim3(kPlainAttentionThreads), bytes,
                                        state->stream, as<T>(q), as<T>(k), as<T>(v), lse, as<T>(d_o), delta, as<T>(dq),
                                        as<T>(dk), as<T>(dv), shape),
                                 name);
  }

  template <class T>
  mu_status plain() const {
    const mu_status status = plain_half<T, false>();
    return status == MU_OK ? plain_half<T, true>() : status;
  }
};

AttentionShape shape_of(float scale, int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t positions,
                        int64_t sequence_begin, int64_t sequence_end) {
  return AttentionShape{positions, heads,          kv_heads, static_cast<int>(head_dim),
                        scale,     sequence_begin, sequence_end - sequence_begin};
}

template <class Call>
mu_status choose(mu_type type, bool aligned, const Call& call) {
  if (type == MU_BF16 && aligned) {
    return by_dimension(call.shape.head_dim, call);
  }
  return type == MU_BF16 ? call.template plain<bf16>() : call.template plain<float>();
}

}  // namespace

mu_status attention(const mu_context* context, mu_type type, const void* q, const void* k, const void* v, void* o,
                    float* lse, float scale, int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t positions,
                    int64_t sequence_begin, int64_t sequence_end) {
  const char* const name = "mu_attention";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || sequence_begin == sequence_end) {
    return entered;
  }
  const AttentionShape shape =
      shape_of(scale, heads, kv_heads, head_dim, positions, sequence_begin, sequence_end);
  const bool aligned = aligned16(q) && aligned16(k) && aligned16(v) && aligned16(o);
  return choose(type, aligned, Forward{name, state, shape, q, k, v, o, lse});
}

mu_status attention_backward(const mu_context* context, mu_type type, const void* q, const void* k, const void* v,
                             const float* lse, const void* d_o, const float* delta, void* dq, void* dk, void* dv,
                             float scale, int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t positions,
                             int64_t sequence_begin, int64_t sequence_end) {
  const char* const name = "mu_attention_backward";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || sequence_begin == sequence_end) {
    return entered;
  }
  const AttentionShape shape =
      shape_of(scale, heads, kv_heads, head_dim, positions, sequence_begin, sequence_end);
  const bool aligned = aligned16(q) && aligned16(k) && aligned16(v) && aligned16(d_o) && aligned16(dq) &&
                       aligned16(dk) && aligned16(dv);
  return choose(type, aligned, Backward{name, state, shape, q, k, v, lse, d_o, delta, dq, dk, dv});
}

}  // namespace muonium::cuda
