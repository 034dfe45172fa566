/*
 * attention.h - fused attention: against the CPU's plain attention on short sequences, then its time. Operations count the
 * half of the scores that a causal mask leaves: 2 products forward, 5 backward.
 */
#ifndef MUONIUM_BENCH_CUDA_ATTENTION_H
#define MUONIUM_BENCH_CUDA_ATTENTION_H

#include <cmath>
#include <memory>

#include "bench/cuda/compare.h"
#include "bench/cuda/random.h"

namespace bench {

struct AttentionCase {
  mu_type type;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t positions;
  int64_t sequences;

  int64_t rows() const { return sequences * positions; }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(head_dim)); }
};

enum AttentionArray {
  kQuery,
  kKey,
  kValue,
  kOut,
  kOutGradient,
  kQueryGradient,
  kKeyGradient,
  kValueGradient,
  kLogSums, /* lse */
  kDots,    /* delta */
  kAttentionArrays
};

inline std::size_t attention_bytes(const AttentionCase& is, int array) {
  const bool keys = array == kKey || array == kValue || array == kKeyGradient || array == kValueGradient;
  const bool per_row = array == kLogSums || array == kDots;
  const int64_t per_head = is.rows() * (keys ? is.kv_heads : is.heads);
  const int64_t bytes = per_row ? 4 : is.head_dim * static_cast<int64_t>(width(is.type));
  return static_cast<std::size_t>(per_head * bytes);
}

/* Forward and backward on arrays that the context can read. */
struct Attention {
  const AttentionCase& is;
  const mu_context* context;
  std::byte* array[kAttentionArrays];

  float* floats(int index) const { return reinterpret_cast<float*>(array[index]); }
  mu_status forward() const {
    return mu_attention(context, is.type, array[kQuery], array[kKey], array[kValue], array[kOut], floats(kLogSums),
                        is.scale(), is.heads, is.kv_heads, is.head_dim, is.positions, 0, is.sequences);
  }
  mu_status dots() const {
    return mu_head_dots(context, is.type, array[kOut], array[kOutGradient], floats(kDots), is.heads, is.head_dim,
                        is.positions, 0, is.rows());
  }
  mu_status backward() const {
    return mu_attention_backward(context, is.type, array[kQuery], array[kKey], array[kValue], floats(kLogSums),
                                 array[kOutGradient], floats(kDots), array[kQueryGradient], array[kKeyGradient],
                                 array[kValueGradient], is.scale(), is.heads, is.kv_heads, is.head_dim, is.positions, 0,
                                 is.sequences);
  }
  mu_status all() const {
    mu_status status = forward();
    status = status == MU_OK ? dots() : status;
    return status == MU_OK ? backward() : status;
  }
};

class DeviceAttention final {
 public:
  DeviceAttention(const Session& session, const AttentionCase& is) : attention_{is, session.cuda, {}} {
    for (int i = 0; i < kAttentionArrays; ++i) {
      arrays_.push_back(std::make_unique<Memory>(attention_bytes(is, i)));
      attention_.array[i] = arrays_.back()->as();
    }
    for (const int i : {kQuery, kKey, kValue, kOutGradient}) {
      fill(session, attention_.array[i], is.type,
           static_cast<int64_t>(arrays_[static_cast<std::size_t>(i)]->bytes() / width(is.type)),
           static_cast<uint64_t>(20 + i), 1.0f);
    }
    synchronize(session, "filling attention's arrays");
  }

  const Attention& attention() const { return attention_; }
  std::vector<std::byte> copy(int array) const { return arrays_[static_cast<std::size_t>(array)]->copy(); }

 private:
  std::vector<std::unique_ptr<Memory>> arrays_;
  Attention attention_;
};

inline void check_attention(Session& session, const std::string& name, const AttentionCase& is) {
  const DeviceAttention device(session, is);
  /* The CPU attends in FP32 only. */
  AttentionCase in_fp32 = is;
  in_fp32.type = MU_F32;
  Attention plain = {in_fp32, session.plain, {}};
  std::vector<std::vector<float>> host;
  for (int i = 0; i < kAttentionArrays; ++i) {
    const bool per_row = i == kLogSums || i == kDots;
    host.push_back(numbers(per_row ? MU_F32 : is.type, device.copy(i)));
    plain.array[i] = reinterpret_cast<std::byte*>(host.back().data());
  }
  must(device.attention().all(), name);
  synchronize(session, name.c_str());
  must(plain.all(), name);
  const std::pair<int, const char*> outputs[] = {{kOut, "relative_error_o"},
                                                 {kQueryGradient, "relative_error_dq"},
                                                 {kKeyGradient, "relative_error_dk"},
                                                 {kValueGradient, "relative_error_dv"}};
  for (const auto& [array, key] : outputs) {
    const std::vector<float>& expected = host[static_cast<std::size_t>(array)];
    checked(session, name, key, relative_difference(numbers(is.type, device.copy(array)), expected),
            is.type == MU_BF16 ? 2e-2 : 1e-4);
  }
}

inline void measure_attention(Session& session, const std::string& name, const AttentionCase& is) {
  const DeviceAttention device(session, is);
  must(device.attention().all(), name);
  const auto t = static_cast<double>(is.positions);
  const double product = static_cast<double>(is.sequences * is.heads * is.head_dim) * t * t; /* half of 2 T^2 */
  const auto report = [&](const char* part, double products, const Times& times) {
    Line line(name + "." + part);
    add_times(line, session, times).figure("tflops", products * product / times.median * 1e-9, "TFLOP/s").print();
  };
  report("forward", 2.0, measure(session, [&](int) { must(device.attention().forward(), name); }));
  report("backward", 5.0, measure(session, [&](int) { must(device.attention().backward(), name); }));
}

inline void bench_attention(Session& session) {
  for (const mu_type type : {MU_BF16, MU_F32}) {
    for (const int64_t head_dim : {int64_t{64}, int64_t{128}}) {
      const std::string name =
          std::string("attention.") + name_of(type) + ".head_dim" + std::to_string(head_dim);
      const int64_t positions = session.settings.quick ? 70 : 333;
      check_attention(session, name, {type, 4, 2, head_dim, positions, 2});
      if (session.settings.check_only) {
        continue;
      }
      const int64_t tokens = session.settings.quick ? 128 : 16384;
      const std::vector<int64_t> contexts =
          session.settings.quick ? std::vector<int64_t>{64} : std::vector<int64_t>{1024, 2048, 4096};
      for (const int64_t context : contexts) {
        const int64_t heads = session.settings.quick ? 2 : 2048 / head_dim;
        measure_attention(session, name + ".context" + std::to_string(context),
                          {type, heads, heads, head_dim, context, tokens / context});
      }
    }
  }
}

}  // namespace bench

#endif
