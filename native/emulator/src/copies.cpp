/* copies.cpp - memory as the runtime's functions see it: allocating, freeing, copying, asking. */
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "machine.h"

namespace muonium::emulator {
namespace {

bool is_pool(cudaMemPool_t pool) {
  return machine().pools.count(pool) != 0;
}

/* Which side of a copy an address is on, with the whole range checked. */
enum class Side { kHost, kDevice, kWrong };

Side side_of(const void* address, size_t bytes) {
  if (device_of(address) < 0) {
    return Side::kHost;
  }
  return is_live(address, bytes) ? Side::kDevice : Side::kWrong;
}

struct Copy {
  char* to;
  size_t to_pitch;
  const char* from;
  size_t from_pitch;
  size_t width;
  size_t height;

  size_t span(size_t pitch) const { return width == 0 || height == 0 ? 0 : pitch * (height - 1) + width; }
  void run() const {
    for (size_t row = 0; row < height; ++row) {
      std::memmove(to + row * to_pitch, from + row * from_pitch, width);
    }
  }
};

cudaError_t check_sides(const Copy& copy, cudaMemcpyKind kind, Side* to, Side* from) {
  *to = side_of(copy.to, copy.span(copy.to_pitch));
  *from = side_of(copy.from, copy.span(copy.from_pitch));
  if (*to == Side::kWrong || *from == Side::kWrong) {
    return cudaErrorInvalidValue;
  }
  if (machine().allow_host_pointers) {
    return cudaSuccess;
  }
  switch (kind) {
    case cudaMemcpyHostToHost:
      return *to == Side::kHost && *from == Side::kHost ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyHostToDevice:
      return *to == Side::kDevice && *from == Side::kHost ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyDeviceToHost:
      return *to == Side::kHost && *from == Side::kDevice ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyDeviceToDevice:
      return *to == Side::kDevice && *from == Side::kDevice ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyDefault:
      return cudaSuccess;
  }
  return cudaErrorInvalidMemcpyDirection;
}

/* When it runs, the memory may have been freed: a fault, as on the device. */
void run_checked(const Copy& copy, int device) {
  const auto gone = [&](const void* p, size_t bytes) { return device_of(p) >= 0 && !is_live(p, bytes); };
  if (gone(copy.to, copy.span(copy.to_pitch)) || gone(copy.from, copy.span(copy.from_pitch))) {
    set_fault(device, cudaErrorIllegalAddress);
    return;
  }
  copy.run();
}

cudaError_t copy_async(const Copy& copy, cudaMemcpyKind kind, cudaStream_t handle) {
  CUstream_st* stream = stream_of(handle);
  if (stream == nullptr) {
    return cudaErrorInvalidResourceHandle;
  }
  if (copy.width == 0 || copy.height == 0) {
    return cudaSuccess;
  }
  Side to = Side::kWrong;
  Side from = Side::kWrong;
  const cudaError_t checked = check_sides(copy, kind, &to, &from);
  if (checked != cudaSuccess) {
    return checked;
  }
  const int device = stream->device;
  const bool pageable_source = from == Side::kHost && !is_pinned(copy.from, copy.span(copy.from_pitch));
  const bool pageable_target = to == Side::kHost && !is_pinned(copy.to, copy.span(copy.to_pitch));
  if (stream->capture == nullptr && pageable_source) {
    /* Such memory is read before the call returns. */
    const auto staged = std::make_shared<std::vector<char>>(copy.span(copy.from_pitch));
    std::memcpy(staged->data(), copy.from, staged->size());
    Copy later = copy;
    later.from = staged->data();
    const cudaError_t put = enqueue(handle, [later, staged, device] { run_checked(later, device); });
    if (put == cudaSuccess && pageable_target) {
      run_all(*stream);
    }
    return put;
  }
  const cudaError_t put = enqueue(handle, [copy, device] { run_checked(copy, device); });
  if (put == cudaSuccess && stream->capture == nullptr && pageable_target) {
    /* Such memory is written before the call returns. */
    run_all(*stream);
    return fault_of(device);
  }
  return put;
}

cudaError_t set_async(void* memory, int value, size_t bytes, cudaStream_t handle) {
  CUstream_st* stream = stream_of(handle);
  if (stream == nullptr) {
    return cudaErrorInvalidResourceHandle;
  }
  if (bytes == 0) {
    return cudaSuccess;
  }
  const bool host = device_of(memory) < 0 && (is_pinned(memory, bytes) || machine().allow_host_pointers);
  if (!host && !is_live(memory, bytes)) {
    return cudaErrorInvalidValue;
  }
  const int device = stream->device;
  return enqueue(handle, [=] {
    if (!host && !is_live(memory, bytes)) {
      set_fault(device, cudaErrorIllegalAddress);
      return;
    }
    if (value == 0 && !host) {
      clear(memory, bytes);
    } else {
      std::memset(memory, value, bytes);
    }
  });
}

cudaError_t allocate_async(const char* function, void** memory, size_t bytes, cudaMemPool_t pool, cudaStream_t handle) {
  return call(function, Needs::kDevice, [&] {
    CUstream_st* stream = stream_of(handle);
    if (stream == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (memory == nullptr || (pool != nullptr && !is_pool(pool))) {
      return cudaErrorInvalidValue;
    }
    if (stream->capture != nullptr) {
      /* CUDA would make it a node of the graph; the emulator has no such nodes. */
      stream->capture->invalidated = true;
      return cudaErrorStreamCaptureUnsupported;
    }
    if (bytes == 0) {
      *memory = nullptr;
      return cudaSuccess;
    }
    cudaMemPool_t from = pool != nullptr ? pool : machine().devices[static_cast<size_t>(stream->device)]->pool;
    if (from->limit != 0 && from->used + bytes > from->limit) {
      return cudaErrorMemoryAllocation;
    }
    return allocate(from->device, bytes, from, memory);
  });
}

}  // namespace
}  // namespace muonium::emulator

using namespace muonium::emulator;

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return call("cudaMemGetInfo", Needs::kDevice, [&] {
    const Device& device = *machine().devices[static_cast<size_t>(current_device())];
    if (free == nullptr || total == nullptr) {
      return cudaErrorInvalidValue;
    }
    *free = device.memory_bytes - device.used;
    *total = device.memory_bytes;
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  return call("cudaMalloc", Needs::kDevice, [&] {
    if (memory == nullptr) {
      return cudaErrorInvalidValue;
    }
    const cudaError_t refused = refuse_in_capture("cudaMalloc");
    if (refused != cudaSuccess) {
      return refused;
    }
    if (bytes == 0) {
      *memory = nullptr;
      return cudaSuccess;
    }
    return allocate(current_device(), bytes, nullptr, memory);
  });
}

cudaError_t cudaFree(void* memory) {
  return call("cudaFree", Needs::kDevice, [&] {
    if (memory == nullptr) {
      return cudaSuccess;
    }
    const cudaError_t refused = refuse_in_capture("cudaFree");
    if (refused != cudaSuccess) {
      return refused;
    }
    if (!is_live(memory, 0)) {
      return cudaErrorInvalidValue;
    }
    run_device(device_of(memory));
    return release(memory) ? fault_of(current_device()) : cudaErrorInvalidValue;
  });
}

cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t stream) {
  return allocate_async("cudaMallocAsync", memory, bytes, nullptr, stream);
}

cudaError_t cudaMallocFromPoolAsync(void** memory, size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  return allocate_async("cudaMallocFromPoolAsync", memory, bytes, pool, stream);
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t handle) {
  return call("cudaFreeAsync", Needs::kDevice, [&] {
    CUstream_st* stream = stream_of(handle);
    if (stream == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (memory == nullptr) {
      return cudaErrorInvalidValue;
    }
    if (stream->capture != nullptr) {
      stream->capture->invalidated = true;
      return cudaErrorStreamCaptureUnsupported;
    }
    const int device = device_of(memory);
    if (device < 0 || !is_live(memory, 0)) {
      return cudaErrorInvalidValue;
    }
    return enqueue(handle, [memory, device] {
      if (!release(memory)) {
        set_fault(device, cudaErrorIllegalAddress);
      }
    });
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return call("cudaMemcpy", Needs::kDevice, [&] {
    const cudaError_t refused = refuse_in_capture("cudaMemcpy");
    if (refused != cudaSuccess) {
      return refused;
    }
    const Copy copy = {static_cast<char*>(to), bytes, static_cast<const char*>(from), bytes, bytes, 1};
    const cudaError_t put = copy_async(copy, kind, nullptr);
    if (put != cudaSuccess) {
      return put;
    }
    run_all(*stream_of(nullptr));
    return fault_of(current_device());
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return call("cudaMemcpyAsync", Needs::kDevice, [&] {
    return copy_async(Copy{static_cast<char*>(to), bytes, static_cast<const char*>(from), bytes, bytes, 1}, kind, stream);
  });
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return call("cudaMemcpy2DAsync", Needs::kDevice, [&] {
    if (width > to_pitch || width > from_pitch) {
      return cudaErrorInvalidValue;
    }
    return copy_async(
        Copy{static_cast<char*>(to), to_pitch, static_cast<const char*>(from), from_pitch, width, height}, kind, stream);
  });
}

cudaError_t cudaMemset(void* memory, int value, size_t bytes) {
  return call("cudaMemset", Needs::kDevice, [&] { return set_async(memory, value, bytes, nullptr); });
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  return call("cudaMemsetAsync", Needs::kDevice, [&] { return set_async(memory, value, bytes, stream); });
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned int flags) {
  return call("cudaHostAlloc", Needs::kDevice, [&] {
    if (memory == nullptr || flags > 7) {
      return cudaErrorInvalidValue;
    }
    const cudaError_t refused = refuse_in_capture("cudaHostAlloc");
    if (refused != cudaSuccess) {
      return refused;
    }
    if (bytes == 0) {
      *memory = nullptr;
      return cudaSuccess;
    }
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void* given = std::aligned_alloc(page, (bytes + page - 1) / page * page);
    if (given == nullptr) {
      return cudaErrorMemoryAllocation;
    }
    std::memset(given, 0xff, bytes);
    machine().host[static_cast<char*>(given)] = HostAllocation{bytes, false};
    *memory = given;
    return cudaSuccess;
  });
}

cudaError_t cudaFreeHost(void* memory) {
  return call("cudaFreeHost", Needs::kDevice, [&] {
    if (memory == nullptr) {
      return cudaSuccess;
    }
    const cudaError_t refused = refuse_in_capture("cudaFreeHost");
    if (refused != cudaSuccess) {
      return refused;
    }
    const auto found = machine().host.find(static_cast<char*>(memory));
    if (found == machine().host.end() || found->second.registered) {
      return cudaErrorInvalidValue;
    }
    for (int i = 0; i < static_cast<int>(machine().devices.size()); ++i) {
      run_device(i);
    }
    std::free(memory);
    machine().host.erase(found);
    return cudaSuccess;
  });
}

cudaError_t cudaHostRegister(void* memory, size_t bytes, unsigned int flags) {
  return call("cudaHostRegister", Needs::kDevice, [&] {
    if (memory == nullptr || bytes == 0 || flags > 15) {
      return cudaErrorInvalidValue;
    }
    char* begin = static_cast<char*>(memory);
    const auto next = machine().host.lower_bound(begin);
    if ((next != machine().host.end() && next->first < begin + bytes) || is_pinned(memory, 1)) {
      return cudaErrorHostMemoryAlreadyRegistered;
    }
    machine().host[begin] = HostAllocation{bytes, true};
    return cudaSuccess;
  });
}

cudaError_t cudaHostUnregister(void* memory) {
  return call("cudaHostUnregister", Needs::kDevice, [&] {
    const auto found = machine().host.find(static_cast<char*>(memory));
    if (found == machine().host.end() || !found->second.registered) {
      return cudaErrorHostMemoryNotRegistered;
    }
    for (int i = 0; i < static_cast<int>(machine().devices.size()); ++i) {
      run_device(i);
    }
    machine().host.erase(found);
    return cudaSuccess;
  });
}

cudaError_t cudaHostGetDevicePointer(void** device_pointer, void* memory, unsigned int flags) {
  return call("cudaHostGetDevicePointer", Needs::kDevice, [&] {
    if (device_pointer == nullptr || flags != 0 || !is_pinned(memory, 1)) {
      return cudaErrorInvalidValue;
    }
    *device_pointer = memory;
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return call("cudaPointerGetAttributes", Needs::kDevice, [&] {
    if (attributes == nullptr) {
      return cudaErrorInvalidValue;
    }
    void* p = const_cast<void*>(pointer);
    *attributes = {};
    attributes->device = -2;
    if (is_live(pointer, 1)) {
      attributes->type = cudaMemoryTypeDevice;
      attributes->device = device_of(pointer);
      attributes->devicePointer = p;
    } else if (is_pinned(pointer, 1)) {
      attributes->type = cudaMemoryTypeHost;
      attributes->device = current_device();
      attributes->devicePointer = p;
      attributes->hostPointer = p;
    } else {
      attributes->type = cudaMemoryTypeUnregistered;
      attributes->hostPointer = p;
    }
    return cudaSuccess;
  });
}

/* --- pools -------------------------------------------------------------------------------------------------------- */

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  return call("cudaDeviceGetDefaultMemPool", Needs::kDevice, [&] {
    if (pool == nullptr || device < 0 || device >= static_cast<int>(machine().devices.size())) {
      return pool == nullptr ? cudaErrorInvalidValue : cudaErrorInvalidDevice;
    }
    *pool = &machine().devices[static_cast<size_t>(device)]->default_pool;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) {
  return call("cudaDeviceGetMemPool", Needs::kDevice, [&] {
    if (pool == nullptr || device < 0 || device >= static_cast<int>(machine().devices.size())) {
      return pool == nullptr ? cudaErrorInvalidValue : cudaErrorInvalidDevice;
    }
    *pool = machine().devices[static_cast<size_t>(device)]->pool;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSetMemPool(int device, cudaMemPool_t pool) {
  return call("cudaDeviceSetMemPool", Needs::kDevice, [&] {
    if (device < 0 || device >= static_cast<int>(machine().devices.size())) {
      return cudaErrorInvalidDevice;
    }
    if (!is_pool(pool) || pool->device != device) {
      return cudaErrorInvalidValue;
    }
    machine().devices[static_cast<size_t>(device)]->pool = pool;
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  return call("cudaMemPoolCreate", Needs::kDevice, [&] {
    if (pool == nullptr || properties == nullptr || properties->allocType != cudaMemAllocationTypePinned ||
        properties->handleTypes != cudaMemHandleTypeNone || properties->location.type != cudaMemLocationTypeDevice ||
        properties->location.id < 0 || properties->location.id >= static_cast<int>(machine().devices.size())) {
      return cudaErrorInvalidValue;
    }
    for (const unsigned char byte : properties->reserved) {
      if (byte != 0) {
        return cudaErrorInvalidValue;
      }
    }
    CUmemPoolHandle_st* fresh =
        new CUmemPoolHandle_st{properties->location.id, 0, 0, 0, 0, {0, 1, 1, 1}, properties->maxSize, false};
    machine().pools.insert(fresh);
    *pool = fresh;
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  return call("cudaMemPoolDestroy", Needs::kDevice, [&] {
    if (!is_pool(pool) || pool->is_default) {
      return cudaErrorInvalidValue;
    }
    run_device(pool->device);
    Device& device = *machine().devices[static_cast<size_t>(pool->device)];
    if (device.pool == pool) {
      device.pool = &device.default_pool;
    }
    /* What is still allocated stays valid until it is freed. */
    for (auto& [memory, allocation] : device.live) {
      if (allocation.pool == pool) {
        allocation.pool = nullptr;
      }
    }
    machine().pools.erase(pool);
    delete pool;
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return call("cudaMemPoolGetAttribute", Needs::kDevice, [&] {
    if (!is_pool(pool) || value == nullptr) {
      return cudaErrorInvalidValue;
    }
    switch (attribute) {
      case cudaMemPoolReuseFollowEventDependencies:
      case cudaMemPoolReuseAllowOpportunistic:
      case cudaMemPoolReuseAllowInternalDependencies:
        *static_cast<int*>(value) = pool->reuse[attribute];
        return cudaSuccess;
      case cudaMemPoolAttrReleaseThreshold:
        *static_cast<uint64_t*>(value) = pool->release_threshold;
        return cudaSuccess;
      case cudaMemPoolAttrReservedMemCurrent:
      case cudaMemPoolAttrUsedMemCurrent:
        *static_cast<uint64_t*>(value) = pool->used;
        return cudaSuccess;
      case cudaMemPoolAttrReservedMemHigh:
        *static_cast<uint64_t*>(value) = pool->reserved_high;
        return cudaSuccess;
      case cudaMemPoolAttrUsedMemHigh:
        *static_cast<uint64_t*>(value) = pool->used_high;
        return cudaSuccess;
    }
    return cudaErrorInvalidValue;
  });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return call("cudaMemPoolSetAttribute", Needs::kDevice, [&] {
    if (!is_pool(pool) || value == nullptr) {
      return cudaErrorInvalidValue;
    }
    switch (attribute) {
      case cudaMemPoolReuseFollowEventDependencies:
      case cudaMemPoolReuseAllowOpportunistic:
      case cudaMemPoolReuseAllowInternalDependencies:
        pool->reuse[attribute] = *static_cast<int*>(value);
        return cudaSuccess;
      case cudaMemPoolAttrReleaseThreshold:
        pool->release_threshold = *static_cast<uint64_t*>(value);
        return cudaSuccess;
      case cudaMemPoolAttrReservedMemHigh:
      case cudaMemPoolAttrUsedMemHigh:
        /* They can be set back, to 0 only. */
        if (*static_cast<uint64_t*>(value) != 0) {
          return cudaErrorInvalidValue;
        }
        (attribute == cudaMemPoolAttrUsedMemHigh ? pool->used_high : pool->reserved_high) = pool->used;
        return cudaSuccess;
      case cudaMemPoolAttrReservedMemCurrent:
      case cudaMemPoolAttrUsedMemCurrent:
        return cudaErrorInvalidValue;
    }
    return cudaErrorInvalidValue;
  });
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t) {
  return call("cudaMemPoolTrimTo", Needs::kDevice,
              [&] { return is_pool(pool) ? cudaSuccess : cudaErrorInvalidValue; });
}
