/*
 * newton_schulz.h - what of Newton-Schulz is checked and not measured: how it begins, bit for bit against the CPU, and
 * symmetric products of FP32 and of shapes that no 16-byte access fits, within the rounding of sums in another order.
 */
#ifndef MUONIUM_BENCH_CUDA_NEWTON_SCHULZ_H
#define MUONIUM_BENCH_CUDA_NEWTON_SCHULZ_H

#include <cmath>
#include <memory>

#include "bench/cuda/compare.h"
#include "bench/cuda/random.h"

namespace bench {

/* Matrices of norms from 2^-140 to 2^120, and of 0. */
inline void check_begin(Session& session, mu_type type) {
  const std::string name = std::string("begin.") + name_of(type);
  const mu_newton_schulz_start start = {3.4445, -4.7750, 2.0315, 1.02, 1e-7, MU_NORM_ADD_EPSILON, 0};
  const int64_t count = 12;
  const int64_t elements = 70001;
  const int64_t parts = 70;
  std::vector<double> sums(static_cast<std::size_t>(count * parts), 0.0);
  for (int64_t i = 1; i < count; ++i) {
    for (int64_t j = 0; j < parts; ++j) {
      const double digits = 1.0 + static_cast<double>(random_bits(8, i * parts + j) % 1000u) * 1e-3;
      sums[static_cast<std::size_t>(i * parts + j)] = std::ldexp(digits, static_cast<int>(52 * i) - 332);
    }
  }
  const Memory device_sums(sums.size() * sizeof(double));
  device_sums.take(sums.data(), sums.size() * sizeof(double));
  const Memory x(static_cast<std::size_t>(count * elements) * width(type));
  fill(session, x.as(), type, count * elements, 9, 1.0f);
  synchronize(session, name.c_str());
  std::vector<std::byte> host_x = x.copy();
  const Memory coefficients(static_cast<std::size_t>(count) * 3 * sizeof(float));
  std::vector<std::byte> host_coefficients(coefficients.bytes());
  must(mu_newton_schulz_begin(session.cuda, &start, x.as(), type, elements, elements, count, device_sums.as<double>(),
                              parts, coefficients.as<float>(), nullptr),
       name);
  synchronize(session, name.c_str());
  must(mu_newton_schulz_begin(session.plain, &start, host_x.data(), type, elements, elements, count, sums.data(), parts,
                              reinterpret_cast<float*>(host_coefficients.data()), nullptr),
       name);
  checked(session, name, "bytes_unlike_the_cpu",
          differing_bytes(x.copy(), host_x) + differing_bytes(coefficients.copy(), host_coefficients), 0.0);
}

struct RaggedProduct {
  mu_type type;
  bool transposed;
  int64_t n;
  int64_t k;
  int64_t gap;
  int64_t count;
};

inline void check_ragged_product(Session& session, const RaggedProduct& is) {
  const std::string name = std::string("product.") + name_of(is.type) + (is.transposed ? ".transposed" : "") + ".n" +
                           std::to_string(is.n) + ".k" + std::to_string(is.k) + ".gap" + std::to_string(is.gap);
  const int64_t ld = (is.transposed ? is.n : is.k) + is.gap;
  const int64_t stride = (is.transposed ? is.k : is.n) * ld;
  const int64_t square_ld = is.n + is.gap;
  const int64_t square = is.n * square_ld;
  const int64_t elements[] = {stride * is.count, stride * is.count, square * is.count, square * is.count};
  std::vector<std::unique_ptr<Memory>> arrays; /* a, b, d, c */
  std::vector<std::vector<std::byte>> host;
  for (std::size_t i = 0; i < 4; ++i) {
    arrays.push_back(std::make_unique<Memory>(static_cast<std::size_t>(elements[i]) * width(is.type)));
    fill(session, arrays[i]->as(), is.type, elements[i], 30 + i, 1.0f);
  }
  const Memory coefficients(static_cast<std::size_t>(3 * is.count) * sizeof(float));
  fill(session, coefficients.as(), MU_F32, 3 * is.count, 40, 1.0f);
  synchronize(session, name.c_str());
  for (const auto& array : arrays) {
    host.push_back(array->copy());
  }
  const std::vector<std::byte> host_coefficients = coefficients.copy();
  const auto run = [&](const mu_context* context, const std::byte* a, const std::byte* b, const std::byte* d,
                       std::byte* c, const std::byte* parts) {
    return mu_symmetric_product(context, is.type, is.transposed ? 1 : 0, is.n, is.k, a, ld, stride, b, ld, stride, d,
                                square_ld, square, c, square_ld, square, reinterpret_cast<const float*>(parts), 3,
                                is.count);
  };
  must(run(session.cuda, arrays[0]->as(), arrays[1]->as(), arrays[2]->as(), arrays[3]->as(), coefficients.as()), name);
  synchronize(session, name.c_str());
  must(run(session.plain, host[0].data(), host[1].data(), host[2].data(), host[3].data(), host_coefficients.data()),
       name);
  const double error = relative_difference(numbers(is.type, arrays[3]->copy()), numbers(is.type, host[3]));
  checked(session, name, "relative_error", error, is.type == MU_BF16 ? 3e-3 : 1e-6);
}

inline void check_newton_schulz(Session& session) {
  for (const mu_type type : {MU_BF16, MU_F32}) {
    check_begin(session, type);
    for (const bool transposed : {false, true}) {
      check_ragged_product(session, {type, transposed, 129, 65, 1, 3});
      check_ragged_product(session, {type, transposed, 200, 72, 8, 2});
    }
  }
}

}  // namespace bench

#endif
