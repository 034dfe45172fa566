/* activations.cpp - the non-linear parts of the two MLPs. */
#include "cpu/common/arrays.h"
#include "cpu/common/functions.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* Calls body(begin, count) for pieces of at most 16 elements. */
template <class Body>
[[gnu::always_inline]] inline void by_lanes(int64_t begin, int64_t end, const Body& body) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    body(i, [](const float* x) { return load(x); }, [](float* x, const Lanes& lanes) { store(x, lanes); });
  }
  if (i < end) {
    const int64_t count = end - i;
    body(i, [count](const float* x) { return load_first(x, count, 0.0f); },
         [count](float* x, const Lanes& lanes) { store_first(x, count, lanes); });
  }
}

}  // namespace

mu_status relu2(const mu_context*, mu_type, const void* us, void* as, int64_t begin, int64_t end) {
  const float* u = floats(us);
  float* a = floats(as);
  for (int64_t i = begin; i < end; ++i) {
    const float r = u[i] > 0.0f ? u[i] : 0.0f;
    a[i] = r * r;
  }
  return MU_OK;
}

mu_status relu2_backward(const mu_context*, mu_type, void* us, void* as, int64_t begin, int64_t end) {
  float* u = floats(us);
  float* a = floats(as);
  for (int64_t i = begin; i < end; ++i) {
    const float r = u[i] > 0.0f ? u[i] : 0.0f;
    u[i] = a[i] * (2.0f * r);
    a[i] = r * r;
  }
  return MU_OK;
}

mu_status swiglu(const mu_context*, mu_type, const void* gates, const void* ups, void* as, int64_t begin,
                 int64_t end) {
  const float* gate = floats(gates);
  const float* up = floats(ups);
  float* a = floats(as);
  by_lanes(begin, end, [&](int64_t i, const auto& read, const auto& write) {
    const Lanes g = read(gate + i);
    write(a + i, g * logistic_lanes(g) * read(up + i));
  });
  return MU_OK;
}

mu_status swiglu_backward(const mu_context*, mu_type, void* gates, void* ups, void* as, int64_t begin, int64_t end) {
  float* gate = floats(gates);
  float* up = floats(ups);
  float* a = floats(as);
  by_lanes(begin, end, [&](int64_t i, const auto& read, const auto& write) {
    const Lanes g = read(gate + i);
    const Lanes u = read(up + i);
    const Lanes da = read(a + i);
    const Lanes s = logistic_lanes(g);
    const Lanes silu = g * s;
    write(gate + i, da * u * (s + silu * (1.0f - s)));
    write(up + i, da * silu);
    write(a + i, silu * u);
  });
  return MU_OK;
}

}  // namespace muonium::cpu::MU_TIER
