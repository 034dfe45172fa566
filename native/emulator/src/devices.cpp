/* devices.cpp - what there is: devices, their attributes, versions, and the errors that calls leave. */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "machine.h"
#include "muonium_emulator.h"
#include "report.h"

namespace muonium::emulator {
namespace {

constexpr int kRuntimeVersion = 13000;
constexpr int kMultiprocessors = 4;

thread_local int chosen_device = 0;
thread_local cudaError_t last_error = cudaSuccess;

int64_t number(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoll(text, nullptr, 10);
}

void start() {
  Machine& m = machine();
  m.started = true;
  m.allow_host_pointers = m.allow_host_pointers || number("MU_EMULATOR_HOST_POINTERS", 0) != 0;
  const int64_t count = number("MU_EMULATOR_DEVICES", 1);
  const size_t bytes = static_cast<size_t>(number("MU_EMULATOR_MEMORY_MB", 1024)) << 20;
  for (int i = 0; i < static_cast<int>(count); ++i) {
    m.devices.push_back(std::make_unique<Device>());
    Device& device = *m.devices.back();
    start_device(device, bytes);
    device.legacy.device = i;
    device.default_pool = CUmemPoolHandle_st{i, 0, 0, 0, 0, {0, 1, 1, 1}, 0, true};
    device.pool = &device.default_pool;
    m.pools.insert(&device.default_pool);
  }
}

int taken(const char* function) {
  Machine& m = machine();
  ++m.calls[function];
  const auto found = m.failures.find(function);
  if (found == m.failures.end()) {
    return 0;
  }
  const int error = found->second;
  m.failures.erase(found);
  return error;
}

struct Described {
  cudaError_t error;
  const char* name;
  const char* text;
};

constexpr Described kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidDevicePointer, "cudaErrorInvalidDevicePointer", "invalid device pointer"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources", "too many resources requested for launch"},
    {cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
     "part or all of the requested memory range is already mapped"},
    {cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
     "pointer does not correspond to a registered memory region"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not initiated in this stream"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
};

const Described* described(cudaError_t error) {
  for (const Described& one : kErrors) {
    if (one.error == error) {
      return &one;
    }
  }
  return nullptr;
}

bool is_device(int device) {
  return device >= 0 && device < static_cast<int>(machine().devices.size());
}

}  // namespace

Machine& machine() {
  static Machine* const the_one = new Machine;
  return *the_one;
}

int compute_capability() {
  return static_cast<int>(number("MU_EMULATOR_CC", 90));
}

int most_shared_memory() {
  switch (compute_capability()) {
    case 80:
    case 87:
      return 163 * 1024;
    case 86:
    case 89:
    case 120:
    case 121:
      return 99 * 1024;
    default:
      return 227 * 1024;
  }
}

int driver_version() {
  return static_cast<int>(number("MU_EMULATOR_DRIVER", kRuntimeVersion));
}

int current_device() {
  return chosen_device;
}

cudaError_t enter(const char* function, Needs needs) {
  Machine& m = machine();
  if (!m.started) {
    start();
  }
  const int error = taken(function);
  if (error != 0) {
    return static_cast<cudaError_t>(error);
  }
  if (needs == Needs::kDevice) {
    if (driver_version() < kRuntimeVersion) {
      return cudaErrorInsufficientDriver;
    }
    if (m.devices.empty()) {
      return cudaErrorNoDevice;
    }
    return fault_of(chosen_device);
  }
  return cudaSuccess;
}

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) {
    last_error = error;
  }
  return error;
}

int take_failure(const char* function) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  return taken(function);
}

}  // namespace muonium::emulator

using namespace muonium::emulator;

cudaError_t cudaDriverGetVersion(int* version) {
  return call("cudaDriverGetVersion", Needs::kNothing, [&] {
    if (version == nullptr) {
      return cudaErrorInvalidValue;
    }
    *version = driver_version();
    return cudaSuccess;
  });
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  return call("cudaRuntimeGetVersion", Needs::kNothing, [&] {
    if (version == nullptr) {
      return cudaErrorInvalidValue;
    }
    *version = kRuntimeVersion;
    return cudaSuccess;
  });
}

const char* cudaGetErrorName(cudaError_t error) {
  const Described* found = described(error);
  return found != nullptr ? found->name : "cudaErrorUnknown";
}

const char* cudaGetErrorString(cudaError_t error) {
  const Described* found = described(error);
  return found != nullptr ? found->text : "unknown error";
}

cudaError_t cudaGetLastError(void) {
  const cudaError_t error = last_error;
  /* A fault is not cleared by asking. */
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  const bool broken = is_device(chosen_device) && fault_of(chosen_device) != cudaSuccess;
  last_error = broken ? fault_of(chosen_device) : cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError(void) {
  return last_error;
}

cudaError_t cudaGetDeviceCount(int* count) {
  return call("cudaGetDeviceCount", Needs::kNothing, [&] {
    if (count == nullptr) {
      return cudaErrorInvalidValue;
    }
    *count = 0;
    if (driver_version() < kRuntimeVersion) {
      return cudaErrorInsufficientDriver;
    }
    if (machine().devices.empty()) {
      return cudaErrorNoDevice;
    }
    *count = static_cast<int>(machine().devices.size());
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return call("cudaGetDevice", Needs::kDevice, [&] {
    if (device == nullptr) {
      return cudaErrorInvalidValue;
    }
    *device = chosen_device;
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return call("cudaSetDevice", Needs::kNothing, [&] {
    if (driver_version() < kRuntimeVersion) {
      return cudaErrorInsufficientDriver;
    }
    if (machine().devices.empty()) {
      return cudaErrorNoDevice;
    }
    if (!is_device(device)) {
      return cudaErrorInvalidDevice;
    }
    chosen_device = device;
    return fault_of(device);
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return call("cudaDeviceGetAttribute", Needs::kDevice, [&] {
    if (value == nullptr) {
      return cudaErrorInvalidValue;
    }
    if (!is_device(device)) {
      return cudaErrorInvalidDevice;
    }
    const int capability = compute_capability();
    switch (attribute) {
      case cudaDevAttrComputeCapabilityMajor:
        *value = capability / 10;
        break;
      case cudaDevAttrComputeCapabilityMinor:
        *value = capability % 10;
        break;
      case cudaDevAttrMultiProcessorCount:
        *value = kMultiprocessors;
        break;
      case cudaDevAttrWarpSize:
        *value = 32;
        break;
      case cudaDevAttrMaxThreadsPerBlock:
      case cudaDevAttrMaxBlockDimX:
      case cudaDevAttrMaxBlockDimY:
        *value = 1024;
        break;
      case cudaDevAttrMaxBlockDimZ:
        *value = 64;
        break;
      case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = 2048;
        break;
      case cudaDevAttrMaxBlocksPerMultiprocessor:
        *value = 32;
        break;
      case cudaDevAttrMaxRegistersPerBlock:
        *value = 65536;
        break;
      case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = 48 * 1024;
        break;
      case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = most_shared_memory();
        break;
      case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = most_shared_memory() + 1024;
        break;
      case cudaDevAttrMaxGridDimX:
        *value = 0x7fffffff;
        break;
      case cudaDevAttrMaxGridDimY:
      case cudaDevAttrMaxGridDimZ:
        *value = 65535;
        break;
      case cudaDevAttrL2CacheSize:
        *value = 8 << 20;
        break;
      case cudaDevAttrClockRate:
        *value = 1000000;
        break;
      case cudaDevAttrMemoryClockRate:
        *value = 2000000;
        break;
      case cudaDevAttrGlobalMemoryBusWidth:
        *value = 256;
        break;
      case cudaDevAttrAsyncEngineCount:
        *value = 2;
        break;
      case cudaDevAttrConcurrentKernels:
      case cudaDevAttrUnifiedAddressing:
      case cudaDevAttrCanMapHostMemory:
      case cudaDevAttrHostRegisterSupported:
      case cudaDevAttrMemoryPoolsSupported:
        *value = 1;
        break;
      case cudaDevAttrComputeMode:
      case cudaDevAttrEccEnabled:
      case cudaDevAttrIntegrated:
      case cudaDevAttrManagedMemory:
      case cudaDevAttrPageableMemoryAccess:
      case cudaDevAttrCooperativeLaunch:
        *value = 0;
        break;
      default:
        return cudaErrorInvalidValue;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device) {
  return call("cudaDeviceGetPCIBusId", Needs::kDevice, [&] {
    if (id == nullptr || length < 13) {
      return cudaErrorInvalidValue;
    }
    if (!is_device(device)) {
      return cudaErrorInvalidDevice;
    }
    std::snprintf(id, static_cast<size_t>(length), "0000:%02X:00.0", static_cast<unsigned>(device + 1) & 0xffu);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return call("cudaDeviceGetStreamPriorityRange", Needs::kDevice, [&] {
    if (least != nullptr) {
      *least = 0;
    }
    if (greatest != nullptr) {
      *greatest = -5;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute, int value) {
  return call("cudaFuncSetAttribute", Needs::kDevice, [&] {
    if (function == nullptr) {
      return cudaErrorInvalidValue;
    }
    return value < 0 || value > most_shared_memory() ? cudaErrorInvalidValue : cudaSuccess;
  });
}

/* --- what tests may ask ------------------------------------------------------------------------------------------- */

void mu_emulator_fail_next(const char* function, int error) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  machine().failures[function] = error;
}

void mu_emulator_fault_next_kernel(void) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  machine().fault_next_kernel = true;
}

void mu_emulator_reset(void) {
  Machine& m = machine();
  const std::lock_guard<std::recursive_mutex> guard(m.lock);
  m.failures.clear();
  m.calls.clear();
  m.kernels.clear();
  m.launches = 0;
  m.fault_next_kernel = false;
  m.run_ahead = false;
  for (const auto& device : m.devices) {
    device->fault = cudaSuccess;
  }
  last_error = cudaSuccess;
}

void mu_emulator_allow_host_pointers(int allow) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  machine().allow_host_pointers = allow != 0;
}

void mu_emulator_run_ahead(int ahead) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  machine().run_ahead = ahead != 0;
}

int64_t mu_emulator_launches(void) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  return machine().launches;
}

int64_t mu_emulator_kernel_count(const char* name) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  const auto found = machine().kernels.find(name);
  return found == machine().kernels.end() ? 0 : found->second;
}

int64_t mu_emulator_call_count(const char* function) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  const auto found = machine().calls.find(function);
  return found == machine().calls.end() ? 0 : found->second;
}

int64_t mu_emulator_live_bytes(void) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  int64_t bytes = 0;
  for (const auto& device : machine().devices) {
    for (const auto& [memory, allocation] : device->live) {
      bytes += static_cast<int64_t>(allocation.bytes);
    }
  }
  return bytes;
}

int64_t mu_emulator_allocations(void) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  return machine().allocations;
}

int64_t mu_emulator_pending(void) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  size_t pending = 0;
  for (const auto& device : machine().devices) {
    pending += device->legacy.queue.size();
  }
  for (const CUstream_st* stream : machine().streams) {
    pending += stream->queue.size();
  }
  return static_cast<int64_t>(pending);
}
