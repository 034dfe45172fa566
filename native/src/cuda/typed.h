/* typed.h - from the mu_type of a call to the element type of a kernel. */
#ifndef MUONIUM_CUDA_TYPED_H
#define MUONIUM_CUDA_TYPED_H

#include "math/bf16.h"
#include "muonium.h"

namespace muonium::cuda {

template <class T>
struct Of {
  using Type = T;
};

/* body(Of<float>{}) or body(Of<bf16>{}). */
template <class Body>
mu_status typed(mu_type type, const Body& body) {
  return type == MU_BF16 ? body(Of<bf16>{}) : body(Of<float>{});
}

template <class T>
T* as(void* array) {
  return static_cast<T*>(array);
}

template <class T>
const T* as(const void* array) {
  return static_cast<const T*>(array);
}

}  // namespace muonium::cuda

#endif
