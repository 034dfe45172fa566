/*
 * activations.cu - the non-linear parts of the two MLPs: a piece of 16 bytes of each array per thread. Bound by memory: 4 to 12
 * bytes per element in bf16, twice that in FP32.
 */
#include "cuda/launch.h"
#include "cuda/pieces.h"
#include "cuda/state.h"
#include "cuda/table.h"
#include "cuda/typed.h"

namespace muonium::cuda {
namespace {

constexpr int kThreads = 256;

MU_DEVICE float logistic(float x) {
  return 1.0f / (1.0f + expf(-x));
}

struct Relu2 {
  MU_DEVICE static void forward(float u, float& a) {
    const float r = u > 0.0f ? u : 0.0f;
    a = r * r;
  }

  /* a holds da */
  MU_DEVICE static void backward(float& u, float& a) {
    const float r = u > 0.0f ? u : 0.0f;
    u = a * (2.0f * r);
    a = r * r;
  }
};

struct Swiglu {
  MU_DEVICE static void forward(float gate, float up, float& a) { a = gate * logistic(gate) * up; }

  /* a holds da */
  MU_DEVICE static void backward(float& gate, float& up, float& a) {
    const float g = gate;
    const float u = up;
    const float da = a;
    const float s = logistic(g);
    const float silu = g * s;
    gate = da * u * (s + silu * (1.0f - s));
    up = da * silu;
    a = silu * u;
  }
};

/* Elements in pieces of n, then the last few one by one: body(index of the first, count as a type). */
template <int n, class Body>
MU_DEVICE void by_pieces(int64_t count, const Body& body) {
  const int64_t pieces = count / n;
  for (int64_t i = first_item(kThreads) + threadIdx.x; i < pieces; i += item_stride(kThreads)) {
    body.template at<n>(i * n);
  }
  if (n > 1) {
    const int64_t last = pieces * n + first_item(kThreads) + threadIdx.x;
    if (last < count) {
      body.template at<1>(last);
    }
  }
}

template <class T>
struct Relu2Forward {
  const T* u;
  T* a;

  template <int n>
  MU_DEVICE void at(int64_t i) const {
    float x[n];
    float y[n];
    load_piece(u + i, x);
#pragma unroll
    for (int e = 0; e < n; ++e) {
      Relu2::forward(x[e], y[e]);
    }
    store_piece(a + i, y);
  }
};

template <class T>
struct Relu2Backward {
  T* u;
  T* a;

  template <int n>
  MU_DEVICE void at(int64_t i) const {
    float x[n];
    float y[n];
    load_piece(u + i, x);
    load_piece(a + i, y);
#pragma unroll
    for (int e = 0; e < n; ++e) {
      Relu2::backward(x[e], y[e]);
    }
    store_piece(u + i, x);
    store_piece(a + i, y);
  }
};

template <class T>
struct SwigluForward {
  const T* gate;
  const T* up;
  T* a;

  template <int n>
  MU_DEVICE void at(int64_t i) const {
    float g[n];
    float u[n];
    float y[n];
    load_piece(gate + i, g);
    load_piece(up + i, u);
#pragma unroll
    for (int e = 0; e < n; ++e) {
      Swiglu::forward(g[e], u[e], y[e]);
    }
    store_piece(a + i, y);
  }
};

template <class T>
struct SwigluBackward {
  T* gate;
  T* up;
  T* a;

  template <int n>
  MU_DEVICE void at(int64_t i) const {
    float g[n];
    float u[n];
    float y[n];
    load_piece(gate + i, g);
    load_piece(up + i, u);
    load_piece(a + i, y);
#pragma unroll
    for (int e = 0; e < n; ++e) {
      Swiglu::backward(g[e], u[e], y[e]);
    }
    store_piece(gate + i, g);
    store_piece(up + i, u);
    store_piece(a + i, y);
  }
};

template <class Body, int n>
__global__ void __launch_bounds__(kThreads, 4) element_wise(Body body, int64_t count) {
  by_pieces<n>(count, body);
}

template <class T, class Body>
mu_status run(const mu_context* context, const char* name, const Body& body, bool aligned, int64_t count) {
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || count == 0) {
    return entered;
  }
  const dim3 grid = blocks_for(count, static_cast<int64_t>(kThreads) * (aligned ? kWide<T> : 1));
  return check(aligned ? launch(element_wise<Body, kWide<T>>, grid, dim3(kThreads), 0, state->stream, body, count)
                       : launch(element_wise<Body, 1>, grid, dim3(kThreads), 0, state->stream, body, count),
               name);
}

}  // namespace

mu_status relu2(const mu_context* context, mu_type type, const void* u, void* a, int64_t begin, int64_t end) {
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    const Relu2Forward<T> body{as<T>(u) + begin, as<T>(a) + begin};
    return run<T>(context, "mu_relu2", body, aligned16(body.u) && aligned16(body.a), end - begin);
  });
}

mu_status relu2_backward(const mu_context* context, mu_type type, void* u, void* a, int64_t begin, int64_t end) {
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    const Relu2Backward<T> body{as<T>(u) + begin, as<T>(a) + begin};
    return run<T>(context, "mu_relu2_backward", body, aligned16(body.u) && aligned16(body.a), end - begin);
  });
}

mu_status swiglu(const mu_context* context, mu_type type, const void* gate, const void* up, void* a, int64_t begin,
                 int64_t end) {
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    const SwigluForward<T> body{as<T>(gate) + begin, as<T>(up) + begin, as<T>(a) + begin};
    return run<T>(context, "mu_swiglu", body, aligned16(body.gate) && aligned16(body.up) && aligned16(body.a),
                  end - begin);
  });
}

mu_status swiglu_backward(const mu_context* context, mu_type type, void* gate, void* up, void* a, int64_t begin,
                          int64_t end) {
  return typed(type, [&](auto of) {
    using T = typename decltype(of)::Type;
    const SwigluBackward<T> body{as<T>(gate) + begin, as<T>(up) + begin, as<T>(a) + begin};
    return run<T>(context, "mu_swiglu_backward", body, aligned16(body.gate) && aligned16(body.up) && aligned16(body.a),
                  end - begin);
  });
}

}  // namespace muonium::cuda
