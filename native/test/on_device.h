/* on_device.h - device memory in tests, with the copies that they need. */
#ifndef MUONIUM_TEST_ON_DEVICE_H
#define MUONIUM_TEST_ON_DEVICE_H

#include <cuda_runtime.h>

#include <vector>

#include "check.h"

#define CHECK_CUDA(call) CHECK_EQUAL(static_cast<int>(call), 0)

namespace test {

template <class T>
class OnDevice final {
 public:
  explicit OnDevice(size_t count) : count_(count) { CHECK_CUDA(cudaMalloc(&memory_, count * sizeof(T))); }
  explicit OnDevice(const std::vector<T>& values) : OnDevice(values.size()) {
    CHECK_CUDA(cudaMemcpy(memory_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice));
    CHECK_CUDA(cudaDeviceSynchronize()); /* a stream that does not wait for the copy's may read it next */
  }
  ~OnDevice() { cudaFree(memory_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  T* data() { return static_cast<T*>(memory_); }
  std::vector<T> values() {
    std::vector<T> values(count_);
    CHECK_CUDA(cudaMemcpy(values.data(), memory_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  size_t count_;
  void* memory_ = nullptr;
};

}  // namespace test

#endif
