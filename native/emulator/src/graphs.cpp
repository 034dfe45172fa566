/* graphs.cpp - a stream's work recorded instead of run, with its arguments by value, and replayed as one piece. */
#include <algorithm>

#include "machine.h"

namespace muonium::emulator {
namespace {

thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

void leave_capture(Capture& capture) {
  machine().captures.erase(&capture);
  /* The last stream's reference may be the last of all. */
  const std::set<CUstream_st*> streams = capture.streams;
  for (CUstream_st* stream : streams) {
    stream->capture.reset();
    stream->captured = 0;
    stream->joined = 0;
    stream->node = kNoNode;
  }
}

/*
 * Runs a graph, which orders nothing but what its nodes wait for: the lane that it began in, and the others as late as they can, or, when streams run
 * ahead, as early.
 */
class Replay final {
 public:
  Replay(const std::vector<Node>& work, int device) : work_(work), device_(device), done_(work.size(), false) {}

  void run() {
    for (size_t i = 0; i < work_.size(); ++i) {
      if (work_[i].lane == 0) {
        run_ready();
        need(i);
      }
    }
    for (size_t i = 0; i < work_.size(); ++i) {
      need(i);
    }
  }

 private:
  void need(size_t node) {
    if (done_[node]) {
      return;
    }
    for (const size_t before : work_[node].after) {
      need(before);
    }
    done_[node] = true;
    if (work_[node].run && fault_of(device_) == cudaSuccess) {
      work_[node].run();
    }
  }

  void run_ready() {
    bool any = machine().run_ahead;
    while (any) {
      any = false;
      for (size_t i = 0; i < work_.size(); ++i) {
        const std::vector<size_t>& after = work_[i].after;
        if (work_[i].lane != 0 && !done_[i] &&
            std::all_of(after.begin(), after.end(), [this](size_t before) { return done_[before]; })) {
          need(i);
          any = true;
        }
      }
    }
  }

  const std::vector<Node>& work_;
  const int device_;
  std::vector<bool> done_;
};

}  // namespace

size_t capture_node(CUstream_st& stream, std::function<void()> run, size_t after) {
  Capture& capture = *stream.capture;
  const auto found = std::find(capture.lanes.begin(), capture.lanes.end(), &stream);
  Node node;
  node.lane = static_cast<size_t>(found - capture.lanes.begin());
  node.run = std::move(run);
  if (found == capture.lanes.end()) {
    capture.lanes.push_back(&stream);
  }
  for (const size_t before : {stream.node, after}) {
    if (before != kNoNode) {
      node.after.push_back(before);
    }
  }
  stream.node = capture.work.size();
  capture.work.push_back(std::move(node));
  return stream.node;
}

}  // namespace muonium::emulator

using namespace muonium::emulator;

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return call("cudaStreamBeginCapture", Needs::kDevice, [&] {
    CUstream_st* stream = stream_of(handle);
    if (stream == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (machine().streams.count(stream) == 0) {
      return cudaErrorStreamCaptureUnsupported;
    }
    if (stream->capture != nullptr) {
      return cudaErrorIllegalState;
    }
    const auto capture = std::make_shared<Capture>();
    capture->origin = stream;
    capture->mode = mode;
    capture->thread = std::this_thread::get_id();
    capture->streams.insert(stream);
    capture->lanes.push_back(stream);
    stream->capture = capture;
    stream->node = kNoNode;
    stream->captured = 0;
    machine().captures.insert(capture.get());
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  return call("cudaStreamEndCapture", Needs::kDevice, [&] {
    CUstream_st* stream = stream_of(handle);
    if (stream == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (graph == nullptr) {
      return cudaErrorInvalidValue;
    }
    *graph = nullptr;
    const std::shared_ptr<Capture> capture = stream->capture;
    if (capture == nullptr) {
      return cudaErrorIllegalState;
    }
    if (capture->origin != stream) {
      return cudaErrorStreamCaptureUnmatched;
    }
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id()) {
      return cudaErrorStreamCaptureWrongThread;
    }
    bool unjoined = false;
    for (const CUstream_st* other : capture->streams) {
      unjoined = unjoined || (other != stream && other->joined < other->captured);
    }
    leave_capture(*capture);
    /* Events of this capture are as if never recorded. */
    for (CUevent_st* event : machine().events) {
      if (event->capture == capture) {
        event->capture.reset();
        event->recorded = false;
      }
    }
    if (capture->invalidated) {
      return cudaErrorStreamCaptureInvalidated;
    }
    if (unjoined) {
      return cudaErrorStreamCaptureUnjoined;
    }
    CUgraph_st* fresh = new CUgraph_st{std::move(capture->work)};
    machine().graphs.insert(fresh);
    *graph = fresh;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return call("cudaStreamIsCapturing", Needs::kDevice, [&] {
    const CUstream_st* stream = stream_of(handle);
    if (stream == nullptr || status == nullptr) {
      return stream == nullptr ? cudaErrorInvalidResourceHandle : cudaErrorInvalidValue;
    }
    *status = stream->capture == nullptr        ? cudaStreamCaptureStatusNone
              : stream->capture->invalidated ? cudaStreamCaptureStatusInvalidated
                                             : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return call("cudaThreadExchangeStreamCaptureMode", Needs::kDevice, [&] {
    if (mode == nullptr) {
      return cudaErrorInvalidValue;
    }
    std::swap(*mode, thread_mode);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  return call("cudaGraphInstantiate", Needs::kDevice, [&] {
    if (executable == nullptr || machine().graphs.count(graph) == 0) {
      return cudaErrorInvalidValue;
    }
    CUgraphExec_st* fresh = new CUgraphExec_st{graph->work, current_device()};
    machine().executables.insert(fresh);
    *executable = fresh;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t stream) {
  return call("cudaGraphUpload", Needs::kDevice, [&] {
    if (machine().executables.count(executable) == 0) {
      return cudaErrorInvalidValue;
    }
    return enqueue(stream, [] {});
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return call("cudaGraphLaunch", Needs::kDevice, [&] {
    if (machine().executables.count(executable) == 0) {
      return cudaErrorInvalidValue;
    }
    /* Its own copy: the executable may be destroyed while its launch waits. */
    return enqueue(stream, [work = executable->work, device = executable->device] { Replay(work, device).run(); });
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return call("cudaGraphExecDestroy", Needs::kDevice, [&] {
    if (machine().executables.erase(executable) == 0) {
      return cudaErrorInvalidValue;
    }
    delete executable;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call("cudaGraphDestroy", Needs::kDevice, [&] {
    if (machine().graphs.erase(graph) == 0) {
      return cudaErrorInvalidValue;
    }
    delete graph;
    return cudaSuccess;
  });
}
