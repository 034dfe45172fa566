/*
 * emulated_runtime_test.cpp - the stand-in for CUDA's runtime: streams that run only when somebody waits, events, memory,
 * graphs, faults. What real code would get away with by luck must fail here.
 */
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "cuda/launch.h"
#include "muonium_emulator.h"
#include "on_device.h"

namespace {

using muonium::cuda::launch;
using test::OnDevice;

__global__ void add_to_all(float* x, float amount, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) {
    x[i] += amount;
  }
}

template <class T>
__global__ void write_at(T* x, int at, T value) {
  x[at] = value;
}

struct Stream {
  cudaStream_t handle = nullptr;
  Stream() { CHECK_CUDA(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking)); }
  ~Stream() { cudaStreamDestroy(handle); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};

struct Event {
  cudaEvent_t handle = nullptr;
  Event() { CHECK_CUDA(cudaEventCreateWithFlags(&handle, cudaEventDefault)); }
  ~Event() { cudaEventDestroy(handle); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
};

/* Page-locked memory of the host. */
struct Pinned {
  float* data = nullptr;
  explicit Pinned(size_t count) {
    void* memory = nullptr;
    CHECK_CUDA(cudaHostAlloc(&memory, count * sizeof(float), cudaHostAllocDefault));
    data = static_cast<float*>(memory);
  }
  ~Pinned() { cudaFreeHost(data); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
};

int status_of_child(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    std::freopen("/dev/null", "w", stderr);
    body();
    _exit(0);
  }
  int status = 0;
  CHECK_EQUAL(waitpid(child, &status, 0), child);
  return status;
}

bool died(const std::function<void()>& body) {
  const int status = status_of_child(body);
  return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

/* What a fresh process with another environment answers; its exit status. */
int exit_status(const char* variable, const char* value, const std::function<int()>& body) {
  const int status = status_of_child([&] {
    setenv(variable, value, 1);
    _exit(body());
  });
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void check_all_bound(const char* arguments, const char* library) {
  void* opened = dlopen((std::string(MU_TEST_EMULATOR) + "/" + library).c_str(), RTLD_NOW);
  CHECK(opened != nullptr);
  std::ifstream in(std::string(MU_TEST_BINDINGS) + "/" + arguments);
  CHECK(in.good());
  const std::string option = "--include-function ";
  int functions = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(option, 0) == 0) {
      const std::string name = line.substr(option.size());
      if (dlsym(opened, name.c_str()) == nullptr) {
        test::failed(__FILE__, __LINE__, std::string(library) + " lacks " + name);
      }
      ++functions;
    }
  }
  CHECK(functions > 10);
}

}  // namespace

/* First, before this process has started the emulator: the children begin anew. */
MU_TEST(a_emulated_runtime, says_what_there_is_not) {
  const auto count = [] {
    int devices = 7;
    const cudaError_t error = cudaGetDeviceCount(&devices);
    return error == cudaSuccess ? 200 + devices : static_cast<int>(error);
  };
  CHECK_EQUAL(exit_status("MU_EMULATOR_DEVICES", "0", count), cudaErrorNoDevice);
  CHECK_EQUAL(exit_status("MU_EMULATOR_DEVICES", "3", count), 203);
  CHECK_EQUAL(exit_status("MU_EMULATOR_DRIVER", "12080", count), cudaErrorInsufficientDriver);
  CHECK_EQUAL(exit_status("MU_EMULATOR_CC", "80",
                          [] {
                            int major = 0;
                            return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) == cudaSuccess
                                       ? major
                                       : -1;
                          }),
              8);
  CHECK_EQUAL(exit_status("MU_EMULATOR_MEMORY_MB", "16",
                          [] {
                            void* memory = nullptr;
                            return static_cast<int>(cudaMalloc(&memory, size_t{17} << 20));
                          }),
              cudaErrorMemoryAllocation);
  CHECK_EQUAL(exit_status("MU_EMULATOR_DEVICES", "2",
                          [] {
                            cudaStream_t stream = nullptr;
                            cudaSetDevice(1);
                            cudaStreamCreate(&stream);
                            cudaSetDevice(0);
                            float* none = nullptr;
                            /* A stream of another device. */
                            const cudaError_t error = launch(add_to_all, 1, 1, 0, stream, none, 1.0f, 0);
                            return error == cudaErrorInvalidResourceHandle ? 42 : 0;
                          }),
              42);
}

MU_TEST(emulated_runtime, every_bound_function_is_there) {
  check_all_bound("cudart.args", "libcudart.so.13");
  check_all_bound("cublas.args", "libcublas.so.13");
  check_all_bound("cublaslt.args", "libcublasLt.so.13");
}

MU_TEST(emulated_runtime, work_waits_until_somebody_waits_for_it) {
  OnDevice<float> x(std::vector<float>(100, 1.0f));
  Pinned out(100);
  out.data[7] = -1.0f;
  Stream stream;
  const int64_t before = mu_emulator_kernel_count("add_to_all");
  CHECK_CUDA(launch(add_to_all, 4, 32, 0, stream.handle, x.data(), 2.0, 100));
  CHECK_CUDA(cudaMemcpyAsync(out.data, x.data(), 400, cudaMemcpyDeviceToHost, stream.handle));
  CHECK_EQUAL(out.data[7], -1.0f);
  CHECK_EQUAL(mu_emulator_kernel_count("add_to_all"), before);
  CHECK(mu_emulator_pending() >= 2);
  CHECK_EQUAL(cudaStreamQuery(stream.handle), cudaErrorNotReady);
  CHECK_CUDA(cudaStreamSynchronize(stream.handle));
  CHECK_EQUAL(out.data[7], 3.0f);
  CHECK_EQUAL(mu_emulator_kernel_count("add_to_all"), before + 1);
  CHECK_CUDA(cudaStreamQuery(stream.handle));
}

MU_TEST(emulated_runtime, pinned_memory_is_read_when_the_copy_runs_and_pageable_before_the_call_returns) {
  OnDevice<float> x(1);
  OnDevice<float> y(1);
  Stream stream;
  Pinned pinned(1);
  float pageable = 1.0f;
  pinned.data[0] = 1.0f;
  CHECK_CUDA(cudaMemcpyAsync(x.data(), pinned.data, 4, cudaMemcpyHostToDevice, stream.handle));
  CHECK_CUDA(cudaMemcpyAsync(y.data(), &pageable, 4, cudaMemcpyHostToDevice, stream.handle));
  pinned.data[0] = 2.0f;
  pageable = 2.0f;
  CHECK_CUDA(cudaStreamSynchronize(stream.handle));
  CHECK_EQUAL(x.values()[0], 2.0f);
  CHECK_EQUAL(y.values()[0], 1.0f);
}

MU_TEST(emulated_runtime, streams_are_ordered_by_events_only) {
  for (const bool waits : {true, false}) {
    OnDevice<float> x(std::vector<float>(1, 1.0f));
    Pinned out(1);
    Stream first;
    Stream second;
    Event event;
    CHECK_CUDA(launch(add_to_all, 1, 1, 0, first.handle, x.data(), 4.0f, 1));
    CHECK_CUDA(cudaEventRecord(event.handle, first.handle));
    CHECK_EQUAL(cudaEventQuery(event.handle) == cudaSuccess, false);
    CHECK_CUDA(cudaEventRecord(event.handle, first.handle));
    CHECK_CUDA(launch(add_to_all, 1, 1, 0, first.handle, x.data(), 100.0f, 1));
    if (waits) {
      CHECK_CUDA(cudaStreamWaitEvent(second.handle, event.handle, 0));
    }
    CHECK_CUDA(cudaMemcpyAsync(out.data, x.data(), 4, cudaMemcpyDeviceToHost, second.handle));
    CHECK_CUDA(cudaStreamSynchronize(second.handle));
    /* The query let the first kernel run; the second has not. */
    CHECK_EQUAL(out.data[0], 5.0f);
    CHECK_CUDA(cudaEventSynchronize(event.handle));
    CHECK_CUDA(cudaStreamSynchronize(first.handle));
    CHECK_EQUAL(x.values()[0], 105.0f);
  }
}

MU_TEST(emulated_runtime, a_stream_that_does_not_wait_reads_too_early) {
  OnDevice<float> x(std::vector<float>(1, 1.0f));
  Pinned out(2);
  Stream first;
  Stream second;
  CHECK_CUDA(launch(add_to_all, 1, 1, 0, first.handle, x.data(), 4.0f, 1));
  CHECK_CUDA(cudaMemcpyAsync(out.data, x.data(), 4, cudaMemcpyDeviceToHost, second.handle));
  CHECK_CUDA(cudaStreamSynchronize(second.handle));
  CHECK_EQUAL(out.data[0], 1.0f);
  Event start;
  Event end;
  CHECK_CUDA(cudaEventRecord(start.handle, first.handle));
  CHECK_CUDA(cudaEventRecord(end.handle, first.handle));
  float milliseconds = -1.0f;
  CHECK_EQUAL(cudaEventElapsedTime(&milliseconds, start.handle, end.handle), cudaErrorNotReady);
  CHECK_CUDA(cudaEventSynchronize(end.handle));
  CHECK_CUDA(cudaEventElapsedTime(&milliseconds, start.handle, end.handle));
  CHECK(milliseconds >= 0.0f);
}

MU_TEST(emulated_runtime, memory_is_counted_and_begins_as_garbage) {
  size_t free_before = 0;
  size_t total = 0;
  CHECK_CUDA(cudaMemGetInfo(&free_before, &total));
  const int64_t live = mu_emulator_live_bytes();
  {
    OnDevice<uint32_t> x(1000);
    size_t free_now = 0;
    CHECK_CUDA(cudaMemGetInfo(&free_now, &total));
    CHECK_EQUAL(free_before - free_now, size_t{4096});
    CHECK_EQUAL(mu_emulator_live_bytes() - live, 4000);
    CHECK_EQUAL(x.values()[999], 0xffffffffu);
    CHECK_EQUAL(reinterpret_cast<uintptr_t>(x.data()) % 256, uintptr_t{0});
    cudaPointerAttributes attributes;
    CHECK_CUDA(cudaPointerGetAttributes(&attributes, x.data() + 5));
    CHECK_EQUAL(attributes.type, cudaMemoryTypeDevice);
  }
  CHECK_EQUAL(mu_emulator_live_bytes(), live);
  size_t free_after = 0;
  CHECK_CUDA(cudaMemGetInfo(&free_after, &total));
  CHECK_EQUAL(free_before, free_after);
  void* memory = nullptr;
  CHECK_EQUAL(cudaMalloc(&memory, total + 1), cudaErrorMemoryAllocation);
  CHECK_EQUAL(cudaGetLastError(), cudaErrorMemoryAllocation);
  CHECK_CUDA(cudaGetLastError());
}

MU_TEST(emulated_runtime, pools_free_in_the_order_of_the_stream) {
  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location = {cudaMemLocationTypeDevice, 0};
  cudaMemPool_t pool = nullptr;
  CHECK_CUDA(cudaMemPoolCreate(&pool, &properties));
  uint64_t threshold = 12345;
  CHECK_CUDA(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
  threshold = 0;
  CHECK_CUDA(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
  CHECK_EQUAL(threshold, uint64_t{12345});
  Stream stream;
  void* memory = nullptr;
  CHECK_CUDA(cudaMallocFromPoolAsync(&memory, 4, pool, stream.handle));
  CHECK_CUDA(cudaMemsetAsync(memory, 0, 4, stream.handle));
  CHECK_CUDA(launch(add_to_all, 1, 1, 0, stream.handle, static_cast<float*>(memory), 3.0f, 1));
  Pinned out(1);
  CHECK_CUDA(cudaMemcpyAsync(out.data, memory, 4, cudaMemcpyDeviceToHost, stream.handle));
  CHECK_CUDA(cudaFreeAsync(memory, stream.handle));
  CHECK_CUDA(cudaStreamSynchronize(stream.handle));
  CHECK_EQUAL(out.data[0], 3.0f);
  uint64_t used = 1;
  CHECK_CUDA(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used));
  CHECK_EQUAL(used, uint64_t{0});
  CHECK_CUDA(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &used));
  CHECK_EQUAL(used, uint64_t{256});
  CHECK_CUDA(cudaMemPoolDestroy(pool));
}

MU_TEST(emulated_runtime, the_host_cannot_touch_device_memory) {
  OnDevice<float> x(std::vector<float>(10, 1.0f));
  CHECK(died([&] { x.data()[3] = 2.0f; }));
  CHECK(!died([&] {
    if (x.values()[3] != 1.0f) {
      _exit(1);
    }
  }));
}

MU_TEST(emulated_runtime, a_write_past_an_allocation_is_reported) {
  for (const int at : {10, -1}) {
    CHECK(died([&] {
      OnDevice<float> x(std::vector<float>(10, 1.0f));
      launch(write_at<float>, 1, 1, 0, nullptr, x.data(), at, 5.0f);
      cudaDeviceSynchronize();
    }));
  }
}

MU_TEST(emulated_runtime, large_memory_that_is_freed_leaves_its_neighbours_alone) {
  /* So that it begins at every place in a page where memory can begin. What was done to a neighbour's strip ends the process. */
  for (size_t bytes = 256; bytes <= 4096; bytes += 256) {
    void* before = nullptr;
    void* large = nullptr;
    void* after = nullptr;
    CHECK_CUDA(cudaMalloc(&before, bytes));
    CHECK_CUDA(cudaMalloc(&large, size_t{3} << 20));
    CHECK_CUDA(cudaMalloc(&after, 4));
    CHECK_CUDA(cudaFree(large));
    CHECK_CUDA(cudaFree(after));
    CHECK_CUDA(cudaFree(before));
  }
}

MU_TEST(emulated_runtime, copies_check_their_sides_and_ranges) {
  OnDevice<float> x(10);
  float host[10] = {};
  CHECK_EQUAL(cudaMemcpy(x.data(), host, 40, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  CHECK_EQUAL(cudaMemcpy(host, x.data(), 40, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  CHECK_EQUAL(cudaMemcpy(x.data(), host, 44, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  CHECK_EQUAL(cudaMemcpy(x.data(), host, 40, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
  CHECK_CUDA(cudaMemcpy(x.data(), host, 40, cudaMemcpyDefault));
  CHECK_EQUAL(cudaMemset(host, 0, 40), cudaErrorInvalidValue);
  CHECK_EQUAL(cudaFree(host), cudaErrorInvalidValue);
  CHECK_EQUAL(cudaFree(x.data() + 1), cudaErrorInvalidValue);
  Stream stream;
  std::vector<float> grid(12);
  for (size_t i = 0; i < grid.size(); ++i) {
    grid[i] = static_cast<float>(i);
  }
  OnDevice<float> whole(grid);
  float part[4] = {};
  CHECK_CUDA(cudaMemcpy2DAsync(part, 8, whole.data() + 1, 16, 8, 2, cudaMemcpyDeviceToHost, stream.handle));
  CHECK_CUDA(cudaStreamSynchronize(stream.handle));
  CHECK_EQUAL(part[0], 1.0f);
  CHECK_EQUAL(part[3], 6.0f);
}

MU_TEST(emulated_runtime, a_kernel_given_the_hosts_memory_faults) {
  float host[4] = {};
  CHECK_CUDA(launch(add_to_all, 1, 4, 0, nullptr, static_cast<float*>(host), 1.0f, 4));
  CHECK_EQUAL(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  CHECK_EQUAL(host[0], 0.0f);
  mu_emulator_reset();
  mu_emulator_allow_host_pointers(1);
  CHECK_CUDA(launch(add_to_all, 1, 4, 0, nullptr, static_cast<float*>(host), 1.0f, 4));
  CHECK_EQUAL(host[3], 1.0f);
  mu_emulator_allow_host_pointers(0);
}

MU_TEST(emulated_runtime, a_fault_stays) {
  OnDevice<float> x(std::vector<float>(1, 1.0f));
  Stream stream;
  mu_emulator_fault_next_kernel();
  CHECK_CUDA(launch(add_to_all, 1, 1, 0, stream.handle, x.data(), 1.0f, 1));
  CHECK_EQUAL(cudaStreamSynchronize(stream.handle), cudaErrorIllegalAddress);
  void* memory = nullptr;
  CHECK_EQUAL(cudaMalloc(&memory, 4), cudaErrorIllegalAddress);
  CHECK_EQUAL(launch(add_to_all, 1, 1, 0, stream.handle, x.data(), 1.0f, 1), cudaErrorIllegalAddress);
  CHECK_EQUAL(cudaGetLastError(), cudaErrorIllegalAddress);
  CHECK_EQUAL(cudaGetLastError(), cudaErrorIllegalAddress);
  mu_emulator_reset();
  CHECK_CUDA(cudaGetLastError());
  CHECK_EQUAL(x.values()[0], 1.0f);
}

MU_TEST(emulated_runtime, a_call_fails_when_asked_to) {
  mu_emulator_fail_next("cudaMalloc", cudaErrorMemoryAllocation);
  void* memory = nullptr;
  CHECK_EQUAL(cudaMalloc(&memory, 4), cudaErrorMemoryAllocation);
  CHECK_CUDA(cudaMalloc(&memory, 4));
  CHECK_CUDA(cudaFree(memory));
}

MU_TEST(emulated_runtime, launches_that_cannot_be_are_refused) {
  float* none = nullptr;
  CHECK_EQUAL(launch(add_to_all, 1, 1025, 0, nullptr, none, 1.0f, 0), cudaErrorInvalidConfiguration);
  CHECK_EQUAL(launch(add_to_all, 0, 32, 0, nullptr, none, 1.0f, 0), cudaErrorInvalidConfiguration);
  CHECK_EQUAL(launch(add_to_all, dim3(1, 65536), 32, 0, nullptr, none, 1.0f, 0), cudaErrorInvalidConfiguration);
  CHECK_EQUAL(launch(add_to_all, 1, 32, 228 * 1024, nullptr, none, 1.0f, 0), cudaErrorInvalidValue);
  cudaGetLastError();
}

/* --- graphs ------------------------------------------------------------------------------------------------------- */

MU_TEST(emulated_runtime, a_graph_replays_what_was_captured_with_its_arguments) {
  OnDevice<float> x(std::vector<float>(1, 0.0f));
  Stream stream;
  float amount = 2.0f;
  CHECK_CUDA(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal));
  CHECK_CUDA(launch(add_to_all, 1, 1, 0, stream.handle, x.data(), amount, 1));
  amount = 50.0f;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  CHECK_CUDA(cudaStreamIsCapturing(stream.handle, &status));
  CHECK_EQUAL(status, cudaStreamCaptureStatusActive);
  cudaGraph_t graph = nullptr;
  CHECK_CUDA(cudaStreamEndCapture(stream.handle, &graph));
  cudaGraphExec_t executable = nullptr;
  CHECK_CUDA(cudaGraphInstantiate(&executable, graph, 0));
  CHECK_CUDA(cudaGraphDestroy(graph));
  CHECK_CUDA(cudaStreamSynchronize(stream.handle));
  CHECK_EQUAL(x.values()[0], 0.0f);
  for (int i = 0; i < 3; ++i) {
    CHECK_CUDA(cudaGraphLaunch(executable, stream.handle));
  }
  CHECK_CUDA(cudaGraphExecDestroy(executable));
  CHECK_CUDA(cudaStreamSynchronize(stream.handle));
  CHECK_EQUAL(x.values()[0], 6.0f);
}

MU_TEST(emulated_runtime, a_capture_forks_and_joins_through_events) {
  OnDevice<float> x(std::vector<float>(2, 0.0f));
  Stream stream;
  Stream other;
  Event forked;
  Event joined;
  for (const bool joins : {true, false}) {
    CHECK_CUDA(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal));
    CHECK_CUDA(cudaEventRecord(forked.handle, stream.handle));
    CHECK_CUDA(cudaStreamWaitEvent(other.handle, forked.handle, 0));
    CHECK_CUDA(launch(add_to_all, 1, 1, 0, other.handle, x.data() + 1, 1.0f, 1));
    CHECK_CUDA(launch(add_to_all, 1, 1, 0, stream.handle, x.data(), 1.0f, 1));
    CHECK_CUDA(cudaEventRecord(joined.handle, other.handle));
    if (joins) {
      CHECK_CUDA(cudaStreamWaitEvent(stream.handle, joined.handle, 0));
    }
    cudaGraph_t graph = nullptr;
    CHECK_EQUAL(cudaStreamEndCapture(stream.handle, &graph), joins ? cudaSuccess : cudaErrorStreamCaptureUnjoined);
    if (joins) {
      cudaGraphExec_t executable = nullptr;
      CHECK_CUDA(cudaGraphInstantiate(&executable, graph, 0));
      CHECK_CUDA(cudaGraphLaunch(executable, stream.handle));
      CHECK_CUDA(cudaStreamSynchronize(stream.handle));
      CHECK_CUDA(cudaGraphExecDestroy(executable));
      CHECK_CUDA(cudaGraphDestroy(graph));
    }
  }
  CHECK(x.values() == std::vector<float>(2, 1.0f));
}

/* The other stream adds 1 between a 5 that this one writes and what it does with the sum: without an event it is too early or too late. */
MU_TEST(emulated_runtime, streams_run_as_late_or_as_early_as_events_let_them) {
  const auto run = [](bool waits, bool is_awaited, bool captures) {
    OnDevice<float> x(std::vector<float>(2, 0.0f));
    Stream stream;
    Stream other;
    Event begun;
    Event written;
    Event added;
    if (captures) {
      CHECK_CUDA(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal));
    }
    CHECK_CUDA(cudaEventRecord(begun.handle, stream.handle));
    CHECK_CUDA(cudaStreamWaitEvent(other.handle, begun.handle, 0));
    CHECK_CUDA(launch(write_at<float>, 1, 1, 0, stream.handle, x.data(), 0, 5.0f));
    CHECK_CUDA(cudaEventRecord(written.handle, stream.handle));
    if (waits) {
      CHECK_CUDA(cudaStreamWaitEvent(other.handle, written.handle, 0));
    }
    CHECK_CUDA(launch(add_to_all, 1, 1, 0, other.handle, x.data(), 1.0f, 1));
    CHECK_CUDA(cudaEventRecord(added.handle, other.handle));
    if (is_awaited) {
      CHECK_CUDA(cudaStreamWaitEvent(stream.handle, added.handle, 0));
    }
    CHECK_CUDA(launch(add_to_all, 1, 1, 0, stream.handle, x.data(), 10.0f, 1));
    CHECK_CUDA(cudaMemcpyAsync(x.data() + 1, x.data(), sizeof(float), cudaMemcpyDeviceToDevice, stream.handle));
    if (!is_awaited) {
      CHECK_CUDA(cudaStreamWaitEvent(stream.handle, added.handle, 0));
    }
    if (captures) {
      cudaGraph_t graph = nullptr;
      CHECK_CUDA(cudaStreamEndCapture(stream.handle, &graph));
      cudaGraphExec_t executable = nullptr;
      CHECK_CUDA(cudaGraphInstantiate(&executable, graph, 0));
      CHECK_CUDA(cudaGraphLaunch(executable, stream.handle));
      CHECK_CUDA(cudaStreamSynchronize(stream.handle));
      CHECK_CUDA(cudaGraphExecDestroy(executable));
      CHECK_CUDA(cudaGraphDestroy(graph));
    }
    CHECK_CUDA(cudaStreamSynchronize(stream.handle));
    return x.values()[1];
  };
  for (const bool captures : {false, true}) {
    for (const bool ahead : {false, true}) {
      mu_emulator_run_ahead(ahead ? 1 : 0);
      CHECK_EQUAL(run(true, true, captures), 16.0f);
      CHECK_EQUAL(run(false, true, captures), ahead ? 15.0f : 16.0f);
      CHECK_EQUAL(run(true, false, captures), ahead ? 16.0f : 15.0f);
    }
  }
  mu_emulator_run_ahead(0);
}

MU_TEST(emulated_runtime, a_capture_is_spoilt_by_what_it_forbids) {
  OnDevice<float> x(std::vector<float>(1, 0.0f));
  Stream stream;
  float host = 0.0f;
  const std::function<cudaError_t()> forbidden[] = {
      [&] {
        void* memory = nullptr;
        return cudaMalloc(&memory, 4);
      },
      [&] { return cudaStreamSynchronize(stream.handle); },
      [&] { return cudaDeviceSynchronize(); },
      [&] { return cudaMemcpy(&host, x.data(), 4, cudaMemcpyDeviceToHost); },
      [&] { return cudaStreamQuery(stream.handle); },
  };
  for (const auto& call : forbidden) {
    CHECK_CUDA(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal));
    CHECK_EQUAL(call(), cudaErrorStreamCaptureUnsupported);
    CHECK_EQUAL(launch(add_to_all, 1, 1, 0, stream.handle, x.data(), 1.0f, 1), cudaErrorStreamCaptureInvalidated);
    cudaGraph_t graph = nullptr;
    CHECK_EQUAL(cudaStreamEndCapture(stream.handle, &graph), cudaErrorStreamCaptureInvalidated);
    CHECK(graph == nullptr);
  }
  cudaGetLastError();
  /* Other threads are free to allocate. */
  CHECK_CUDA(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal));
  cudaError_t elsewhere = cudaErrorUnknown;
  std::thread([&] {
    void* memory = nullptr;
    elsewhere = cudaMalloc(&memory, 4);
    cudaFree(memory);
  }).join();
  CHECK_CUDA(elsewhere);
  cudaGraph_t graph = nullptr;
  CHECK_CUDA(cudaStreamEndCapture(stream.handle, &graph));
  CHECK_CUDA(cudaGraphDestroy(graph));
}
