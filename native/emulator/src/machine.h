/*
 * machine.h - the emulated machine: its devices with their memory, its streams and what waits in them, under one lock.
 */
#ifndef MUONIUM_EMULATOR_MACHINE_H
#define MUONIUM_EMULATOR_MACHINE_H

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cuda_runtime_api.h"
#include "emulated_launch.h"

namespace muonium::emulator {

struct Capture;

/* One piece of work. It runs when somebody needs its result, never before. */
struct Work {
  /* Greater than that of all work that was put into any stream before. */
  uint64_t ticket = 0;
  std::function<void()> run;
  /* What must have run before, beyond the stream's own order: up to this ticket of that stream. */
  CUstream_st* after = nullptr;
  uint64_t after_ticket = 0;
};

}  // namespace muonium::emulator

struct CUmemPoolHandle_st {
  int device;
  uint64_t release_threshold;
  uint64_t used;
  uint64_t used_high;
  uint64_t reserved_high;
  int reuse[4];
  size_t limit;
  bool is_default;
};

struct CUstream_st {
  int device = 0;
  bool non_blocking = false;
  int priority = 0;
  std::deque<muonium::emulator::Work> queue;
  std::shared_ptr<muonium::emulator::Capture> capture;
  /* The capture's work that this stream has, counted, and how much of it the capture's origin has waited for. */
  size_t captured = 0;
  size_t joined = 0;
  /* Its latest node in the capture. */
  size_t node = static_cast<size_t>(-1);
};

struct CUevent_st {
  bool timing = true;
  bool recorded = false;
  /* The latest record: where it stands, and whether it has run. */
  CUstream_st* stream = nullptr;
  uint64_t ticket = 0;
  uint64_t completed = 0;
  double milliseconds = 0;
  std::shared_ptr<muonium::emulator::Capture> capture;
  CUstream_st* captured_stream = nullptr;
  size_t captured = 0;
  size_t node = 0;
};

namespace muonium::emulator {

/* One piece of captured work, or a place at which an event was recorded or waited for. */
struct Node {
  /* Of the stream that it was put into, numbered as the streams joined the capture; 0 is where it began. */
  size_t lane = 0;
  std::function<void()> run;
  /* What must have run before: the node before it in its lane, and what an event brought. */
  std::vector<size_t> after;
};

}  // namespace muonium::emulator

struct CUgraph_st {
  std::vector<muonium::emulator::Node> work;
};

struct CUgraphExec_st {
  std::vector<muonium::emulator::Node> work;
  int device = 0;
};

namespace muonium::emulator {

struct Capture {
  CUstream_st* origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  bool invalidated = false;
  std::set<CUstream_st*> streams;
  std::vector<CUstream_st*> lanes;
  std::vector<Node> work;
};

/* Adds a node behind the latest of the stream's, and behind another one if that is not kNoNode; returns its number. */
inline constexpr size_t kNoNode = static_cast<size_t>(-1);
size_t capture_node(CUstream_st& stream, std::function<void()> run, size_t after);

struct Allocation {
  size_t bytes;
  cudaMemPool_t pool;
};

struct Device {
  char* region = nullptr;
  size_t region_bytes = 0;
  size_t memory_bytes = 0;
  size_t used = 0;
  size_t high_water = 0;
  std::map<char*, Allocation> live;
  /* Begin and size of what is free, redzones and all. */
  std::map<char*, size_t> free;
  /* What a kernel's fault left behind: every call gives it. */
  cudaError_t fault = cudaSuccess;
  CUstream_st legacy;
  CUmemPoolHandle_st default_pool = {};
  cudaMemPool_t pool = nullptr;
};

struct HostAllocation {
  size_t bytes;
  bool registered;
};

struct Machine final {
  std::recursive_mutex lock;
  bool started = false;
  std::vector<std::unique_ptr<Device>> devices;
  std::set<CUstream_st*> streams;
  std::set<CUevent_st*> events;
  std::set<CUgraph_st*> graphs;
  std::set<CUgraphExec_st*> executables;
  std::set<CUmemPoolHandle_st*> pools;
  std::map<char*, HostAllocation> host;
  std::set<Capture*> captures;
  uint64_t tickets = 0;
  int windows = 0;
  /* Kernels work on the host's memory, at once. */
  bool allow_host_pointers = false;
  /* Other streams run as far as they can before the one that is waited for, not as late as they can. */
  bool run_ahead = false;
  bool is_ahead = false;
  bool fault_next_kernel = false;
  std::map<std::string, int> failures;
  std::map<std::string, int64_t> calls;
  std::map<std::string, int64_t> kernels;
  int64_t launches = 0;
  int64_t allocations = 0;
};

/* Never destroyed: other libraries' destructors may come later. */
MU_EMULATOR_API Machine& machine();

int driver_version();
/* 90 for 9.0. */
int compute_capability();
/* What a block can have when it asks, in bytes. */
int most_shared_memory();
/* The ordinal that the calling thread has chosen. */
MU_EMULATOR_API int current_device();

/* --- entering the runtime -------------------------------------------------------------------------------------- */

enum class Needs { kNothing, kDevice };

/* Counts the call; the failure that a test has asked for, or the fault of the device, or cudaSuccess. */
MU_EMULATOR_API cudaError_t enter(const char* function, Needs needs);
/* Keeps an error for cudaGetLastError. */
MU_EMULATOR_API cudaError_t remember(cudaError_t error);
/* 0, or the failure that a test has asked for: for the other libraries. Counts the call. */
MU_EMULATOR_API int take_failure(const char* function);

template <class Body>
cudaError_t call(const char* function, Needs needs, Body body) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  const cudaError_t entered = enter(function, needs);
  return remember(entered != cudaSuccess ? entered : body());
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

/* The stream behind a handle, or null. */
MU_EMULATOR_API CUstream_st* stream_of(cudaStream_t handle);
/* Puts work into a stream, or into the graph that it captures. */
MU_EMULATOR_API cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);
/* Makes what follows in the stream wait for the other's work up to the ticket. */
cudaError_t enqueue_wait(CUstream_st& stream, CUstream_st* other, uint64_t ticket);
/* Runs a stream's work up to a ticket, and what that work waits for. */
void run_until(CUstream_st& stream, uint64_t ticket);
void run_all(CUstream_st& stream);
void run_device(int device);
/* The fault of the device, or cudaSuccess. */
MU_EMULATOR_API cudaError_t fault_of(int device);
MU_EMULATOR_API void set_fault(int device, cudaError_t error);
/* For calls that a capture forbids: invalidates it and says so. */
cudaError_t refuse_in_capture(const char* function);

/* --- memory ------------------------------------------------------------------------------------------------------- */

/* While one is open the devices' memory can be touched. */
class Window final {
 public:
  Window();
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;
};

void start_device(Device& device, size_t memory_bytes);
cudaError_t allocate(int device, size_t bytes, cudaMemPool_t pool, void** memory);
/* The allocation that begins there, freed; false when none does. */
bool release(void* memory);
/* Fills memory of a device with zeros. */
void clear(void* memory, size_t bytes);
/* The device in whose memory the address lies, allocated or not; -1 for the host's. */
MU_EMULATOR_API int device_of(const void* address);
/* Whether a live allocation holds all of it. */
MU_EMULATOR_API bool is_live(const void* address, size_t bytes);
MU_EMULATOR_API bool may_use_host_pointers();
MU_EMULATOR_API bool is_pinned(const void* address, size_t bytes);
void check_redzones();

/* --- kernels ------------------------------------------------------------------------------------------------------ */

/* A kernel's name without namespaces, template arguments and parameters. */
std::string kernel_name(const void* function);

}  // namespace muonium::emulator

#endif
