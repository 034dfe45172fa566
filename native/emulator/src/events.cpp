/* events.cpp - places in streams that the host or other streams wait for. */
#include <chrono>

#include "machine.h"

namespace muonium::emulator {
namespace {

bool is_event(cudaEvent_t event) {
  return machine().events.count(event) != 0;
}

double now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(since).count();
}

bool is_complete(const CUevent_st& event) {
  return !event.recorded || event.stream == nullptr || event.completed >= event.ticket;
}

}  // namespace
}  // namespace muonium::emulator

using namespace muonium::emulator;

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  return call("cudaEventCreateWithFlags", Needs::kDevice, [&] {
    if (event == nullptr || flags > 7) {
      return cudaErrorInvalidValue;
    }
    CUevent_st* fresh = new CUevent_st;
    fresh->timing = (flags & cudaEventDisableTiming) == 0;
    machine().events.insert(fresh);
    *event = fresh;
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return call("cudaEventCreate", Needs::kDevice, [&] { return cudaEventCreateWithFlags(event, 0); });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  return call("cudaEventRecord", Needs::kDevice, [&] {
    CUstream_st* stream = stream_of(handle);
    if (stream == nullptr || !is_event(event)) {
      return cudaErrorInvalidResourceHandle;
    }
    if (stream->capture != nullptr) {
      if (stream->capture->invalidated) {
        return cudaErrorStreamCaptureInvalidated;
      }
      event->capture = stream->capture;
      event->captured_stream = stream;
      event->captured = stream->captured;
      event->node = capture_node(*stream, {}, kNoNode);
      return cudaSuccess;
    }
    const uint64_t ticket = machine().tickets + 1;
    event->capture.reset();
    event->recorded = true;
    event->stream = stream;
    event->ticket = ticket;
    return enqueue(handle, [event, ticket] {
      if (is_event(event)) {
        event->completed = ticket;
        event->milliseconds = now();
      }
    });
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned int flags) {
  return call("cudaStreamWaitEvent", Needs::kDevice, [&] {
    CUstream_st* stream = stream_of(handle);
    if (stream == nullptr || !is_event(event)) {
      return cudaErrorInvalidResourceHandle;
    }
    if (flags != 0) {
      return cudaErrorInvalidValue;
    }
    if (event->capture != nullptr) {
      if (stream->capture == nullptr) {
        stream->capture = event->capture;
        stream->captured = 0;
        stream->joined = 0;
        event->capture->streams.insert(stream);
        stream->node = kNoNode;
        capture_node(*stream, {}, event->node);
        return cudaSuccess;
      }
      if (stream->capture != event->capture) {
        stream->capture->invalidated = true;
        event->capture->invalidated = true;
        return cudaErrorStreamCaptureMerge;
      }
      if (event->captured_stream->joined < event->captured) {
        event->captured_stream->joined = event->captured;
      }
      capture_node(*stream, {}, event->node);
      return cudaSuccess;
    }
    if (stream->capture != nullptr) {
      stream->capture->invalidated = true;
      return cudaErrorStreamCaptureIsolation;
    }
    if (is_complete(*event)) {
      return cudaSuccess;
    }
    return enqueue_wait(*stream, event->stream, event->ticket);
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call("cudaEventQuery", Needs::kDevice, [&] {
    if (!is_event(event)) {
      return cudaErrorInvalidResourceHandle;
    }
    if (event->capture != nullptr) {
      event->capture->invalidated = true;
      return cudaErrorCapturedEvent;
    }
    if (is_complete(*event)) {
      return cudaSuccess;
    }
    /* Not yet; but whoever asks again and again must get on. */
    run_until(*event->stream, event->ticket);
    return cudaErrorNotReady;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call("cudaEventSynchronize", Needs::kDevice, [&] {
    if (!is_event(event)) {
      return cudaErrorInvalidResourceHandle;
    }
    if (event->capture != nullptr) {
      event->capture->invalidated = true;
      return cudaErrorCapturedEvent;
    }
    if (!is_complete(*event)) {
      const int device = event->stream->device;
      run_until(*event->stream, event->ticket);
      return fault_of(device);
    }
    return cudaSuccess;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call("cudaEventElapsedTime", Needs::kDevice, [&] {
    if (!is_event(start) || !is_event(end) || !start->recorded || !end->recorded || !start->timing || !end->timing) {
      return cudaErrorInvalidResourceHandle;
    }
    if (milliseconds == nullptr) {
      return cudaErrorInvalidValue;
    }
    if (!is_complete(*start) || !is_complete(*end)) {
      return cudaErrorNotReady;
    }
    *milliseconds = static_cast<float>(end->milliseconds - start->milliseconds);
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call("cudaEventDestroy", Needs::kDevice, [&] {
    if (machine().events.erase(event) == 0) {
      return cudaErrorInvalidResourceHandle;
    }
    delete event;
    return cudaSuccess;
  });
}
