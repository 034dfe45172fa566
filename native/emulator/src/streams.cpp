/*
 * streams.cpp - work waits in its stream until somebody synchronizes with it: a result that is read too early, or that
 * another stream uses without waiting for the event, is not there.
 */
#include <cstdio>

#include "block.h"
#include "machine.h"
#include "report.h"

namespace muonium::emulator {
namespace {

Device& device_at(int ordinal) {
  return *machine().devices[static_cast<size_t>(ordinal)];
}

bool is_legacy(const CUstream_st& stream) {
  return &stream == &device_at(stream.device).legacy;
}

/* The stream without a handle waits for all others but the non-blocking, and those for it. */
void run_implied(CUstream_st& stream, uint64_t ticket) {
  Device& device = device_at(stream.device);
  if (!is_legacy(stream)) {
    if (!stream.non_blocking) {
      run_until(device.legacy, ticket);
    }
    return;
  }
  for (CUstream_st* other : machine().streams) {
    if (other->device == stream.device && !other->non_blocking) {
      run_until(*other, ticket);
    }
  }
}

bool has_run(const CUstream_st& stream, uint64_t ticket) {
  return stream.queue.empty() || stream.queue.front().ticket > ticket;
}

bool may_run(const Work& work) {
  return work.after == nullptr || (machine().streams.count(work.after) == 0 && !is_legacy(*work.after)) ||
         has_run(*work.after, work.after_ticket);
}

/* As a device does that is quick with all streams but one: nothing but what they wait for holds them up. */
void run_others(const CUstream_st& stream) {
  Machine& m = machine();
  if (!m.run_ahead || m.is_ahead) {
    return;
  }
  m.is_ahead = true;
  bool any = true;
  while (any) {
    any = false;
    const std::set<CUstream_st*> streams = m.streams;
    for (CUstream_st* other : streams) {
      if (other != &stream && other->device == stream.device && !other->queue.empty() && may_run(other->queue.front())) {
        run_until(*other, other->queue.front().ticket);
        any = true;
      }
    }
  }
  m.is_ahead = false;
}

void run_kernel(const Launch& launch, int device) {
  Machine& m = machine();
  const std::string name = kernel_name(launch.kernel);
  if (m.fault_next_kernel) {
    m.fault_next_kernel = false;
    set_fault(device, cudaErrorIllegalAddress);
    return;
  }
  if (!m.allow_host_pointers) {
    for (const void* pointer : launch.pointers) {
      if (pointer != nullptr && !is_live(pointer, 0) && !is_pinned(pointer, 0)) {
        std::fprintf(stderr, "emulator: kernel %s was given %p, which is not in the device's memory\n", name.c_str(),
                     pointer);
        set_fault(device, cudaErrorIllegalAddress);
        return;
      }
    }
  }
  ++m.launches;
  ++m.kernels[name];
  run_grid(launch, name.c_str());
}

}  // namespace

CUstream_st* stream_of(cudaStream_t handle) {
  Machine& m = machine();
  if (handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread) {
    return &device_at(current_device()).legacy;
  }
  return m.streams.count(handle) != 0 ? handle : nullptr;
}

void run_until(CUstream_st& stream, uint64_t ticket) {
  const Window window;
  while (!stream.queue.empty() && stream.queue.front().ticket <= ticket) {
    run_others(stream);
    if (stream.queue.empty()) {
      return; /* Another one has waited for this. */
    }
    Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    run_implied(stream, work.ticket);
    if (work.after != nullptr && (machine().streams.count(work.after) != 0 || is_legacy(*work.after))) {
      run_until(*work.after, work.after_ticket);
    }
    if (work.run && fault_of(stream.device) == cudaSuccess) {
      work.run();
    }
  }
}

void run_all(CUstream_st& stream) {
  run_implied(stream, is_legacy(stream) ? machine().tickets : 0);
  run_until(stream, machine().tickets);
}

void run_device(int device) {
  for (CUstream_st* stream : machine().streams) {
    if (stream->device == device) {
      run_until(*stream, machine().tickets);
    }
  }
  run_until(device_at(device).legacy, machine().tickets);
}

cudaError_t fault_of(int device) {
  return device_at(device).fault;
}

void set_fault(int device, cudaError_t error) {
  device_at(device).fault = error;
}

cudaError_t refuse_in_capture(const char*) {
  Machine& m = machine();
  for (Capture* capture : m.captures) {
    const bool own = capture->thread == std::this_thread::get_id();
    if (capture->mode == cudaStreamCaptureModeGlobal || (capture->mode == cudaStreamCaptureModeThreadLocal && own)) {
      capture->invalidated = true;
      return cudaErrorStreamCaptureUnsupported;
    }
  }
  return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t handle, std::function<void()> work) {
  CUstream_st* stream = stream_of(handle);
  if (stream == nullptr) {
    return cudaErrorInvalidResourceHandle;
  }
  if (stream->capture != nullptr) {
    if (stream->capture->invalidated) {
      return cudaErrorStreamCaptureInvalidated;
    }
    capture_node(*stream, std::move(work), kNoNode);
    ++stream->captured;
    return cudaSuccess;
  }
  if (is_legacy(*stream)) {
    for (Capture* capture : machine().captures) {
      for (const CUstream_st* other : capture->streams) {
        if (other->device == stream->device && !other->non_blocking) {
          capture->invalidated = true;
          return cudaErrorStreamCaptureImplicit;
        }
      }
    }
  }
  stream->queue.push_back(Work{++machine().tickets, std::move(work), nullptr, 0});
  if (machine().allow_host_pointers) {
    run_all(*stream);
  }
  return cudaSuccess;
}

cudaError_t enqueue_wait(CUstream_st& stream, CUstream_st* other, uint64_t ticket) {
  stream.queue.push_back(Work{++machine().tickets, {}, other, ticket});
  return cudaSuccess;
}

cudaError_t submit(Launch launch, cudaStream_t handle) {
  return call("cudaLaunchKernel", Needs::kDevice, [&] {
    const uint64_t threads = static_cast<uint64_t>(launch.block.x) * launch.block.y * launch.block.z;
    const dim3 grid = launch.grid;
    if (threads == 0 || threads > 1024 || launch.block.z > 64 || grid.x == 0 || grid.y == 0 || grid.z == 0 ||
        grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
      return cudaErrorInvalidConfiguration;
    }
    if (launch.shared_bytes > static_cast<size_t>(most_shared_memory())) {
      return cudaErrorInvalidValue;
    }
    CUstream_st* stream = stream_of(handle);
    if (stream == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (stream->device != current_device()) {
      return cudaErrorInvalidResourceHandle;
    }
    const int device = stream->device;
    return enqueue(handle, [launch = std::move(launch), device] { run_kernel(launch, device); });
  });
}

}  // namespace muonium::emulator

using namespace muonium::emulator;

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned int flags, int priority) {
  return call("cudaStreamCreateWithPriority", Needs::kDevice, [&] {
    if (stream == nullptr || flags > cudaStreamNonBlocking) {
      return cudaErrorInvalidValue;
    }
    CUstream_st* fresh = new CUstream_st;
    fresh->device = current_device();
    fresh->non_blocking = flags == cudaStreamNonBlocking;
    fresh->priority = priority < -5 ? -5 : (priority > 0 ? 0 : priority);
    machine().streams.insert(fresh);
    *stream = fresh;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  return call("cudaStreamCreateWithFlags", Needs::kDevice,
              [&] { return cudaStreamCreateWithPriority(stream, flags, 0); });
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return call("cudaStreamCreate", Needs::kDevice, [&] { return cudaStreamCreateWithPriority(stream, 0, 0); });
}

cudaError_t cudaStreamGetDevice(cudaStream_t handle, int* device) {
  return call("cudaStreamGetDevice", Needs::kDevice, [&] {
    const CUstream_st* stream = stream_of(handle);
    if (stream == nullptr || device == nullptr) {
      return stream == nullptr ? cudaErrorInvalidResourceHandle : cudaErrorInvalidValue;
    }
    *device = stream->device;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return call("cudaStreamQuery", Needs::kDevice, [&] {
    CUstream_st* stream = stream_of(handle);
    if (stream == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (stream->capture != nullptr) {
      stream->capture->invalidated = true;
      return cudaErrorStreamCaptureUnsupported;
    }
    if (stream->queue.empty()) {
      return fault_of(stream->device);
    }
    /* Not yet; but whoever asks again and again must get on. */
    run_all(*stream);
    return cudaErrorNotReady;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return call("cudaStreamSynchronize", Needs::kDevice, [&] {
    CUstream_st* stream = stream_of(handle);
    if (stream == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (stream->capture != nullptr) {
      stream->capture->invalidated = true;
      return cudaErrorStreamCaptureUnsupported;
    }
    run_all(*stream);
    return fault_of(stream->device);
  });
}

cudaError_t cudaDeviceSynchronize(void) {
  return call("cudaDeviceSynchronize", Needs::kDevice, [&] {
    const cudaError_t refused = refuse_in_capture("cudaDeviceSynchronize");
    if (refused != cudaSuccess) {
      return refused;
    }
    run_device(current_device());
    check_redzones();
    return fault_of(current_device());
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return call("cudaStreamDestroy", Needs::kDevice, [&] {
    Machine& m = machine();
    const auto found = m.streams.find(handle);
    if (found == m.streams.end()) {
      return cudaErrorInvalidResourceHandle;
    }
    CUstream_st* stream = *found;
    if (stream->capture != nullptr) {
      stream->capture->invalidated = true;
      stream->capture->streams.erase(stream);
      if (stream->capture->origin == stream) {
        m.captures.erase(stream->capture.get());
      }
    }
    run_all(*stream);
    m.streams.erase(found);
    for (CUevent_st* event : m.events) {
      if (event->stream == stream) {
        event->stream = nullptr;
      }
    }
    for (CUstream_st* other : m.streams) {
      for (Work& work : other->queue) {
        if (work.after == stream) {
          work.after = nullptr;
        }
      }
    }
    delete stream;
    return cudaSuccess;
  });
}
