/*
 * optimizer.h - the passes of the optimizers over many arrays: first on ragged arrays, bit for bit against the scalar
 * kernels of the CPU, then their bandwidth on arrays far larger than the caches. Bytes are those that must be moved, once.
 */
#ifndef MUONIUM_BENCH_CUDA_OPTIMIZER_H
#define MUONIUM_BENCH_CUDA_OPTIMIZER_H

#include <cmath>
#include <cstring>
#include <memory>

#include "bench/cuda/compare.h"
#include "bench/cuda/random.h"

namespace bench {

inline constexpr int64_t kBlock = 128;

/* Where the arrays of several matrices lie in one allocation of each sort. */
struct Layout {
  std::vector<int64_t> sizes;
  std::vector<int64_t> offsets;
  std::vector<int64_t> first_chunks;
  int64_t total = 0;
  int64_t chunks = 0;

  explicit Layout(std::vector<int64_t> elements) : sizes(std::move(elements)) {
    for (const int64_t size : sizes) {
      offsets.push_back(total);
      first_chunks.push_back(chunks);
      total += (size + kBlock - 1) / kBlock * kBlock;
      chunks += (size + MU_CHUNK - 1) / MU_CHUNK;
    }
  }

  static Layout ragged() { return Layout({100003, 4096, 65, 1, 3 * MU_CHUNK}); }
  static Layout measured(const Settings& settings) {
    const int64_t size = settings.quick ? 3 * MU_CHUNK : int64_t{1} << 22; /* 2048 x 2048 */
    return Layout(std::vector<int64_t>(static_cast<std::size_t>(settings.parameters() / size), size));
  }

  int64_t scales() const { return total / kBlock; }
};

/* All that a step of Muon or AdamW reads and writes, in the order in which `arrays` lists it. */
struct Kinds {
  bool adamw;
  mu_format m_format;
  mu_format v_format; /* AdamW only */
  mu_type gradient_type;
  mu_type update_type; /* Muon only */
  mu_type w_type;
  bool master;
};

inline int64_t bytes_of(mu_format format) {
  return format == MU_FORMAT_F32 ? 4 : 1;
}

enum Array { kGradient, kM, kMScales, kV, kVScales, kUpdate, kWeights, kMaster, kArrays };

inline std::size_t array_bytes(const Kinds& kinds, const Layout& layout, int array) {
  const auto total = static_cast<std::size_t>(layout.total);
  const auto scales = static_cast<std::size_t>(layout.scales());
  switch (array) {
    case kGradient:
      return total * width(kinds.gradient_type);
    case kM:
      return total * static_cast<std::size_t>(bytes_of(kinds.m_format));
    case kMScales:
      return kinds.m_format == MU_FORMAT_F32 ? 0 : scales * 4;
    case kV:
      return kinds.adamw ? total * static_cast<std::size_t>(bytes_of(kinds.v_format)) : 0;
    case kVScales:
      return kinds.adamw && kinds.v_format != MU_FORMAT_F32 ? scales * 4 : 0;
    case kUpdate:
      return kinds.adamw ? 0 : total * width(kinds.update_type);
    case kWeights:
      return total * width(kinds.w_type);
    default:
      return kinds.master ? total * 4 : 0;
  }
}

/* The addresses of the arrays, on the device or the host. */
struct Bases {
  std::byte* base[kArrays] = {};

  std::byte* at(int array, int64_t bytes) const { return base[array] == nullptr ? nullptr : base[array] + bytes; }
  float* scales(int array, int64_t offset) const { return reinterpret_cast<float*>(at(array, offset / kBlock * 4)); }
};

inline std::vector<mu_muon_item> muon_items(const Kinds& kinds, const Layout& layout, const Bases& bases) {
  std::vector<mu_muon_item> items(layout.sizes.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const int64_t offset = layout.offsets[i];
    mu_muon_item& item = items[i];
    item = mu_muon_item{};
    item.gradient = bases.at(kGradient, offset * static_cast<int64_t>(width(kinds.gradient_type)));
    item.momentum = bases.at(kM, offset * bytes_of(kinds.m_format));
    item.scales = bases.scales(kMScales, offset);
    item.update = bases.at(kUpdate, offset * static_cast<int64_t>(width(kinds.update_type)));
    item.direction = item.update;
    item.weights = bases.at(kWeights, offset * static_cast<int64_t>(width(kinds.w_type)));
    item.master = reinterpret_cast<float*>(bases.at(kMaster, offset * 4));
    item.elements = layout.sizes[i];
    item.first_chunk = layout.first_chunks[i];
    item.beta = 0.95;
    item.decay = 0.9999f;
    item.rate = 0.001f;
    item.rounding_step = 3;
    item.rounding_parameter = i;
    item.stochastic = kinds.w_type == MU_BF16 && !kinds.master ? 1 : 0;
  }
  return items;
}

inline std::vector<mu_adamw_item> adamw_items(const Kinds& kinds, const Layout& layout, const Bases& bases) {
  std::vector<mu_adamw_item> items(layout.sizes.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const int64_t offset = layout.offsets[i];
    mu_adamw_item& item = items[i];
    item = mu_adamw_item{};
    item.weights = bases.at(kWeights, offset * static_cast<int64_t>(width(kinds.w_type)));
    item.master = reinterpret_cast<float*>(bases.at(kMaster, offset * 4));
    item.gradient = bases.at(kGradient, offset * static_cast<int64_t>(width(kinds.gradient_type)));
    item.m = bases.at(kM, offset * bytes_of(kinds.m_format));
    item.m_scales = bases.scales(kMScales, offset);
    item.v = bases.at(kV, offset * bytes_of(kinds.v_format));
    item.v_scales = bases.scales(kVScales, offset);
    item.elements = layout.sizes[i];
    item.first_chunk = layout.first_chunks[i];
    item.params = mu_adamw_params{0.001, 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001, 1.0};
    item.rounding_step = 3;
    item.rounding_parameter = i;
    item.stochastic = kinds.w_type == MU_BF16 && !kinds.master ? 1 : 0;
  }
  return items;
}

inline mu_step a_step() {
  mu_step step{};
  step.gradient_scale = 1.0;
  step.clip_norm = HUGE_VAL;
  step.seed = 42;
  step.clip = 1.0;
  step.scale = 0.5;
  step.first_non_finite = -1;
  return step;
}

/* Muon's two passes or AdamW's one; the records and the step are where the context can read them. */
struct Passes {
  const Kinds& kinds;
  const Layout& layout;
  const mu_context* context;
  const void* items;
  const mu_step* step;
  double* sums;

  int64_t count() const { return static_cast<int64_t>(layout.sizes.size()); }
  mu_status momentum() const {
    return mu_muon_momentum_many(context, kinds.m_format, kBlock, kinds.gradient_type, kinds.update_type, 1,
                                 static_cast<const mu_muon_item*>(items), count(), layout.chunks, step, sums);
  }
  mu_status update() const {
    return mu_muon_update_many(context, kinds.w_type, kinds.update_type, static_cast<const mu_muon_item*>(items),
                               count(), layout.chunks, step);
  }
  mu_status adamw() const {
    return mu_adamw_many(context, kBlock, kinds.w_type, kinds.gradient_type, kinds.m_format, kinds.v_format,
                         static_cast<const mu_adamw_item*>(items), count(), layout.chunks, step);
  }
  mu_status all() const {
    if (kinds.adamw) {
      return adamw();
    }
    const mu_status status = momentum();
    return status == MU_OK ? update() : status;
  }
};

/* The arrays on the device, filled, with their records. */
class DeviceArrays final {
 public:
  DeviceArrays(const Session& session, const Kinds& kinds, const Layout& layout)
      : step_(sizeof(mu_step)), sums_(static_cast<std::size_t>(layout.chunks) * sizeof(double)) {
    Bases bases;
    for (int i = 0; i < kArrays; ++i) {
      arrays_.push_back(std::make_unique<Memory>(array_bytes(kinds, layout, i)));
      bases.base[i] = arrays_.back()->bytes() == 0 ? nullptr : arrays_.back()->as();
    }
    const int64_t n = layout.total;
    fill(session, bases.base[kGradient], kinds.gradient_type, n, 1, 0.01f);
    fill_state(session, kinds.m_format, bases.base[kM], bases.scales(kMScales, 0), n, layout.scales(), 2, 0.01f);
    if (kinds.adamw) {
      fill_state(session, kinds.v_format, bases.base[kV], bases.scales(kVScales, 0), n, layout.scales(), 4, 1e-4f,
                 true);
    } else {
      fill(session, bases.base[kUpdate], kinds.update_type, n, 6, 1.0f);
    }
    fill(session, bases.base[kWeights], kinds.w_type, n, 7, 1.0f);
    if (kinds.master) {
      fill(session, bases.base[kMaster], MU_F32, n, 7, 1.0f);
    }
    const mu_step step = a_step();
    step_.take(&step, sizeof step);
    if (kinds.adamw) {
      keep(adamw_items(kinds, layout, bases));
    } else {
      keep(muon_items(kinds, layout, bases));
    }
    synchronize(session, "filling the arrays");
  }

  Passes passes(const Session& session, const Kinds& kinds, const Layout& layout) const {
    return Passes{kinds, layout, session.cuda, items_->as(), step_.as<mu_step>(), sums_.as<double>()};
  }
  std::vector<std::byte> copy(int array) const { return arrays_[static_cast<std::size_t>(array)]->copy(); }
  std::vector<std::byte> sums() const { return sums_.copy(); }

 private:
  template <class Item>
  void keep(const std::vector<Item>& items) {
    items_ = std::make_unique<Memory>(items.size() * sizeof(Item));
    items_->take(items.data(), items.size() * sizeof(Item));
  }

  std::vector<std::unique_ptr<Memory>> arrays_;
  std::unique_ptr<Memory> items_;
  Memory step_;
  Memory sums_;
};

/* How far the two may be apart: the CPU's sums are within 2^-21 of the exact ones (muonium.h), CUDA's are in double. */
inline constexpr double kSquareSum = 0x1p-20;

/* The greatest relative difference of two arrays of sums, which the two may add up in different orders. */
inline double difference_of_sums(const std::vector<std::byte>& cuda, const std::vector<double>& plain) {
  double most = 0.0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    double sum;
    std::memcpy(&sum, cuda.data() + i * sizeof sum, sizeof sum);
    const double difference = std::fabs(sum - plain[i]) / (plain[i] > 0.0 ? plain[i] : 1.0);
    most = difference <= most ? most : difference; /* keeps a NaN */
  }
  return most;
}

inline void check_passes(Session& session, const std::string& name, const Kinds& kinds) {
  const Layout layout = Layout::ragged();
  const DeviceArrays device(session, kinds, layout);
  std::vector<std::vector<std::byte>> host;
  Bases bases;
  for (int i = 0; i < kArrays; ++i) {
    host.push_back(device.copy(i));
    bases.base[i] = host.back().empty() ? nullptr : host.back().data();
  }
  must(device.passes(session, kinds, layout).all(), name);
  synchronize(session, name.c_str());
  const mu_step step = a_step();
  std::vector<double> sums(static_cast<std::size_t>(layout.chunks));
  const auto muon = muon_items(kinds, layout, bases);
  const auto adamw = adamw_items(kinds, layout, bases);
  const void* items = kinds.adamw ? static_cast<const void*>(adamw.data()) : muon.data();
  must(Passes{kinds, layout, session.plain, items, &step, sums.data()}.all(), name);
  double different = 0.0;
  for (int i = 0; i < kArrays; ++i) {
    different += differing_bytes(device.copy(i), host[static_cast<std::size_t>(i)]);
  }
  checked(session, name, "bytes_unlike_the_cpu", different, 0.0);
  if (!kinds.adamw) {
    checked(session, name, "difference_of_sums", difference_of_sums(device.sums(), sums), kSquareSum);
  }
}

inline double state_bytes(mu_format format) {
  return format == MU_FORMAT_F32 ? 8.0 : 2.0 * (1.0 + 4.0 / static_cast<double>(kBlock));
}

inline double weight_bytes(const Kinds& kinds) {
  const double w = static_cast<double>(width(kinds.w_type));
  return kinds.master ? w + 8.0 : 2.0 * w;
}

inline void measure_passes(Session& session, const std::string& name, const Kinds& kinds) {
  const Layout layout = Layout::measured(session.settings);
  const DeviceArrays device(session, kinds, layout);
  const Passes passes = device.passes(session, kinds, layout);
  const auto n = static_cast<double>(layout.total);
  const auto gradient = static_cast<double>(width(kinds.gradient_type));
  if (kinds.adamw) {
    const double bytes = gradient + state_bytes(kinds.m_format) + state_bytes(kinds.v_format) + weight_bytes(kinds);
    report_pass(session, name, measure(session, [&](int) { must(passes.adamw(), name); }), n * bytes);
    return;
  }
  const auto update = static_cast<double>(width(kinds.update_type));
  report_pass(session, "momentum." + name, measure(session, [&](int) { must(passes.momentum(), name); }),
              n * (gradient + state_bytes(kinds.m_format) + update));
  report_pass(session, "update." + name, measure(session, [&](int) { must(passes.update(), name); }),
              n * (update + weight_bytes(kinds)));
}

inline void bench_optimizers(Session& session) {
  const mu_format linear = MU_FORMAT_INT8_LINEAR;
  const mu_format dynamic = MU_FORMAT_INT8_DYNAMIC_SIGNED;
  const mu_format squares = MU_FORMAT_INT8_DYNAMIC_UNSIGNED;
  const std::pair<const char*, Kinds> all[] = {
      {"muon.int8.fp32_gradient.bf16_update.fp32_weights", {false, linear, linear, MU_F32, MU_BF16, MU_F32, false}},
      {"muon.int8.bf16_gradient.bf16_update.bf16_master", {false, linear, linear, MU_BF16, MU_BF16, MU_BF16, true}},
      {"muon.int8.bf16_gradient.bf16_update.bf16_weights", {false, linear, linear, MU_BF16, MU_BF16, MU_BF16, false}},
      {"muon.int8_dynamic.fp32_gradient.bf16_update.fp32_weights",
       {false, dynamic, dynamic, MU_F32, MU_BF16, MU_F32, false}},
      {"muon.fp32.fp32_gradient.bf16_update.fp32_weights",
       {false, MU_FORMAT_F32, MU_FORMAT_F32, MU_F32, MU_BF16, MU_F32, false}},
      {"muon.fp32.fp32_gradient.fp32_update.fp32_weights",
       {false, MU_FORMAT_F32, MU_FORMAT_F32, MU_F32, MU_F32, MU_F32, false}},
      {"adamw.8bit.fp32", {true, dynamic, squares, MU_F32, MU_F32, MU_F32, false}},
      {"adamw.8bit.bf16_master", {true, dynamic, squares, MU_BF16, MU_F32, MU_BF16, true}},
      {"adamw.fp32.fp32", {true, MU_FORMAT_F32, MU_FORMAT_F32, MU_F32, MU_F32, MU_F32, false}},
  };
  for (const auto& [name, kinds] : all) {
    check_passes(session, name, kinds);
    if (!session.settings.check_only) {
      measure_passes(session, name, kinds);
    }
  }
}

}  // namespace bench

#endif
