/* session.h - what all measurements share: contexts, device memory, times by events, and how a figure is printed. */
#ifndef MUONIUM_BENCH_CUDA_SESSION_H
#define MUONIUM_BENCH_CUDA_SESSION_H

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "muonium.h"

namespace bench {

[[noreturn]] inline void stop(const char* what, const char* why) {
  std::fflush(stdout);
  std::fprintf(stderr, "cuda_bench: %s: %s\n", what, why);
  std::exit(2);
}

inline void must(cudaError_t error, const char* what) {
  if (error != cudaSuccess) {
    stop(what, cudaGetErrorString(error));
  }
}

/* Bytes of device memory. */
class Memory final {
 public:
  explicit Memory(std::size_t bytes) : bytes_(bytes) { must(cudaMalloc(&data_, bytes + 16), "cudaMalloc"); }
  ~Memory() { cudaFree(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  template <class T = std::byte>
  T* as() const {
    return static_cast<T*>(data_);
  }
  std::size_t bytes() const { return bytes_; }

  void take(const void* host, std::size_t bytes) const {
    must(cudaMemcpy(data_, host, bytes, cudaMemcpyHostToDevice), "cudaMemcpy to the device");
    /* The copy may return when the bytes are on their way, and our stream does not wait for the one that it is in. */
    must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  std::vector<std::byte> copy() const {
    std::vector<std::byte> host(bytes_);
    must(cudaMemcpy(host.data(), data_, bytes_, cudaMemcpyDeviceToHost), "cudaMemcpy from the device");
    return host;
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

struct Settings {
  bool check_only = false;
  /* Small arrays and few runs: to see that all of it works, also under compute-sanitizer. */
  bool quick = false;

  int runs() const { return quick ? 3 : 41; }
  int64_t parameters() const { return quick ? int64_t{1} << 17 : int64_t{1} << 28; }
};

struct Session {
  Settings settings;
  mu_context* cuda = nullptr;
  mu_context* plain = nullptr; /* the scalar kernels of the CPU */
  cudaStream_t stream = nullptr;
  double copy_gbps = 0.0; /* 0 until it is measured */
  int failures = 0;
};

inline void synchronize(const Session& session, const char* what) {
  must(cudaStreamSynchronize(session.stream), what);
}

/* One JSON object on a line. */
class Line final {
 public:
  explicit Line(const std::string& name) : name_(name) { text_ << "{\"name\": \"" << name << '"'; }

  Line& add(const char* key, double value) {
    text_ << ", \"" << key << "\": " << value;
    return *this;
  }
  Line& add(const char* key, const std::string& value) {
    text_ << ", \"" << key << "\": \"" << value << '"';
    return *this;
  }
  /* A number that the bundle's table shows, too. */
  Line& figure(const char* key, double value, const char* unit) {
    figures_ << "figure " << name_ << '.' << key << ' ' << value << ' ' << unit << '\n';
    return add(key, value);
  }
  void print() const {
    std::printf("%s}\n%s", text_.str().c_str(), figures_.str().c_str());
    std::fflush(stdout);
  }

 private:
  std::string name_;
  std::ostringstream text_;
  std::ostringstream figures_;
};

inline void must(mu_status status, const std::string& name) {
  if (status != MU_OK) {
    stop(name.c_str(), mu_last_error());
  }
}

inline void checked(Session& session, const std::string& name, const char* key, double value, double most) {
  const bool right = value <= most; /* false for NaN */
  session.failures += right ? 0 : 1;
  Line(name).add(key, value).add("at_most", most).add("check", right ? "passed" : "FAILED").print();
}

struct Times {
  double median = 0.0;
  double least = 0.0;
  double most = 0.0;
};

/* Milliseconds of body(run), each between two events of its own; three runs go before them. */
template <class Body>
Times measure(const Session& session, const Body& body) {
  const int runs = session.settings.runs();
  for (int i = 0; i < 3; ++i) {
    body(i);
  }
  std::vector<std::pair<cudaEvent_t, cudaEvent_t>> events(static_cast<std::size_t>(runs));
  for (auto& [start, end] : events) {
    must(cudaEventCreate(&start), "cudaEventCreate");
    must(cudaEventCreate(&end), "cudaEventCreate");
  }
  synchronize(session, "warming up");
  for (int i = 0; i < runs; ++i) {
    const auto& [start, end] = events[static_cast<std::size_t>(i)];
    must(cudaEventRecord(start, session.stream), "cudaEventRecord");
    body(i);
    must(cudaEventRecord(end, session.stream), "cudaEventRecord");
  }
  synchronize(session, "measuring");
  std::vector<double> times;
  for (const auto& [start, end] : events) {
    float time = 0.0f;
    must(cudaEventElapsedTime(&time, start, end), "cudaEventElapsedTime");
    times.push_back(static_cast<double>(time));
    must(cudaEventDestroy(start), "cudaEventDestroy");
    must(cudaEventDestroy(end), "cudaEventDestroy");
  }
  std::sort(times.begin(), times.end());
  return Times{times[times.size() / 2], times.front(), times.back()};
}

inline Line& add_times(Line& line, const Session& session, const Times& times) {
  return line.add("ms", times.median)
      .add("ms_least", times.least)
      .add("ms_most", times.most)
      .add("runs", session.settings.runs());
}

/* A pass over memory that must move so many bytes. */
inline void report_pass(const Session& session, const std::string& name, const Times& times, double bytes) {
  const double gbps = bytes / times.median * 1e-6;
  Line line(name);
  add_times(line, session, times).add("bytes", bytes).figure("gbps", gbps, "GB/s");
  if (session.copy_gbps > 0.0) {
    line.figure("share_of_copy", gbps / session.copy_gbps, "of_copy");
  }
  line.print();
}

inline std::size_t width(mu_type type) {
  return type == MU_BF16 ? 2 : 4;
}

inline const char* name_of(mu_type type) {
  return type == MU_BF16 ? "bf16" : "fp32";
}

}  // namespace bench

#endif
