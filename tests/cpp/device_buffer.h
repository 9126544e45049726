// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Memory of the device with guards on both sides, so that a write outside of it is noticed wherever the test runs;
// under the emulation with AddressSanitizer, a read as well. What lies in the guards and what nobody has written yet
// reads as NaN in every floating-point type.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#if defined(STIC_EMULATED)
#include "backend_emulated.h"
#else
#include "backend_cuda.h"
#endif
#include "text.h"

namespace stic::testing {

// `bytes` bytes, `offset` bytes past an address aligned to 256.
class GuardedMemory {
 public:
  GuardedMemory(size_t bytes, size_t offset)
      : bytes_(bytes), front_(kGuard + offset), whole_(backend::allocate(front_ + bytes + kGuard)) {
    const std::vector<unsigned char> front = pattern(front_), back = pattern(kGuard);
    backend::to_device(whole_, front.data(), front.size());
    backend::to_device(whole_ + front_ + bytes_, back.data(), back.size());
    backend::fill(whole_ + front_, 0xFF, bytes_);
    backend::fence(whole_, front_, bytes_, kGuard);
  }
  ~GuardedMemory() {
    backend::unfence(whole_, front_, bytes_, kGuard);
    backend::release(whole_);
  }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  void* data() const { return whole_ + front_; }
  size_t bytes() const { return bytes_; }

  // Where the guards were written to, in words; empty if nowhere.
  std::string damage() const {
    backend::unfence(whole_, front_, bytes_, kGuard);
    const int64_t before = first_change(whole_, front_);
    const int64_t behind = first_change(whole_ + front_ + bytes_, kGuard);
    backend::fence(whole_, front_, bytes_, kGuard);
    if (before >= 0) return text("wrote ", static_cast<int64_t>(front_) - before, " bytes before its start");
    if (behind >= 0) return text("wrote ", behind, " bytes past its end");
    return {};
  }

 private:
  static constexpr size_t kGuard = 256;

  // 0xFFFE in any two bytes is NaN in every type, and differs from the poison of outputs.
  static std::vector<unsigned char> pattern(size_t bytes) {
    std::vector<unsigned char> result(bytes);
    for (size_t i = 0; i < bytes; ++i) result[i] = i % 2 ? 0xFF : 0xFE;
    return result;
  }
  static int64_t first_change(const unsigned char* guard, size_t bytes) {
    const std::vector<unsigned char> wanted = pattern(bytes);
    std::vector<unsigned char> got(bytes);
    backend::to_host(got.data(), guard, bytes);
    for (size_t i = 0; i < bytes; ++i)
      if (got[i] != wanted[i]) return static_cast<int64_t>(i);
    return -1;
  }

  size_t bytes_, front_;
  unsigned char* whole_;
};

// `count` elements on the device, `offset` elements past an address aligned to 256. A handle: copies share the memory.
template <typename T>
class DeviceBuffer {
 public:
  explicit DeviceBuffer(int64_t count, int64_t offset = 0)
      : count_(count),
        memory_(std::make_shared<GuardedMemory>(static_cast<size_t>(count) * sizeof(T),
                                                static_cast<size_t>(offset) * sizeof(T))) {}
  explicit DeviceBuffer(const std::vector<T>& values, int64_t offset = 0)
      : DeviceBuffer(static_cast<int64_t>(values.size()), offset) {
    upload(values);
  }

  T* data() const { return static_cast<T*>(memory_->data()); }
  int64_t count() const { return count_; }
  const std::shared_ptr<GuardedMemory>& memory() const { return memory_; }

  void upload(const std::vector<T>& values) { backend::to_device(data(), values.data(), memory_->bytes()); }
  void poison() { backend::fill(data(), 0xFF, memory_->bytes()); }
  std::vector<T> download() const {
    std::vector<T> values(static_cast<size_t>(count_));
    backend::to_host(values.data(), data(), memory_->bytes());
    return values;
  }

 private:
  int64_t count_;
  std::shared_ptr<GuardedMemory> memory_;
};

}  // namespace stic::testing
