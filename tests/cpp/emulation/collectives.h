// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// CUDA's barriers, shuffles and votes.
#pragma once

#include <cstring>
#include <type_traits>

inline void __syncthreads(stic::emulation::Site site = stic::emulation::Site("__syncthreads")) {
  stic::emulation::meet_block(site, stic::emulation::Vote::kCount, false);
}
inline int __syncthreads_count(int predicate,
                               stic::emulation::Site site = stic::emulation::Site("__syncthreads_count")) {
  return stic::emulation::meet_block(site, stic::emulation::Vote::kCount, predicate != 0);
}
inline int __syncthreads_or(int predicate, stic::emulation::Site site = stic::emulation::Site("__syncthreads_or")) {
  return stic::emulation::meet_block(site, stic::emulation::Vote::kAny, predicate != 0);
}
inline int __syncthreads_and(int predicate, stic::emulation::Site site = stic::emulation::Site("__syncthreads_and")) {
  return stic::emulation::meet_block(site, stic::emulation::Vote::kAll, predicate != 0);
}

namespace stic::emulation {

template <typename T>
struct Shuffle {
  T value, result;
  int source;
};

// A lane that is not there or not named has nothing to give: NaN.
template <typename T>
void exchange(void* const brought[32], uint32_t mask) {
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    Shuffle<T>& mine = *static_cast<Shuffle<T>*>(brought[__builtin_ctz(rest)]);
    if (mask >> mine.source & 1)
      mine.result = static_cast<const Shuffle<T>*>(brought[mine.source])->value;
    else
      std::memset(&mine.result, 0xFF, sizeof(T));
  }
}

inline int running_lane() { return running_thread() % 32; }

inline void demand_width(const Site& site, int width) {
  if (width < 1 || width > 32 || (width & (width - 1)) != 0)
    fault(site, std::string(site.operation) + " with a width that is not a power of two up to 32");
}

template <typename T>
T shuffle(const Site& site, uint32_t mask, T value, int source) {
  static_assert(
      std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, float> || std::is_same_v<T, double>,
      "shuffles take int, unsigned, float and double");
  Shuffle<T> mine{value, value, source};
  meet_warp(site, mask, &mine, exchange<T>);
  return mine.result;
}

struct Ballot {
  bool predicate;
  uint32_t result;
};

inline void count_votes(void* const brought[32], uint32_t mask) {
  uint32_t votes = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    votes |= static_cast<uint32_t>(static_cast<const Ballot*>(brought[lane])->predicate) << lane;
  }
  for (uint32_t rest = mask; rest; rest &= rest - 1) static_cast<Ballot*>(brought[__builtin_ctz(rest)])->result = votes;
}

// The lanes of the mask whose predicate holds.
inline uint32_t ballot(const Site& site, uint32_t mask, bool predicate) {
  Ballot mine{predicate, 0};
  meet_warp(site, mask, &mine, count_votes);
  return mine.result;
}

}  // namespace stic::emulation

inline void __syncwarp(uint32_t mask = 0xFFFFFFFFu, stic::emulation::Site site = stic::emulation::Site("__syncwarp")) {
  stic::emulation::meet_warp(site, mask, nullptr, [](void* const*, uint32_t) {});
}

// A source beyond the segment of `width` lanes is the lane itself.
template <typename T>
T __shfl_sync(uint32_t mask, T value, int source, int width = 32,
              stic::emulation::Site site = stic::emulation::Site("__shfl_sync")) {
  stic::emulation::demand_width(site, width);
  const int start = stic::emulation::running_lane() & ~(width - 1);
  return stic::emulation::shuffle(site, mask, value, start + (source & (width - 1)));
}
template <typename T>
T __shfl_xor_sync(uint32_t mask, T value, int lanes, int width = 32,
                  stic::emulation::Site site = stic::emulation::Site("__shfl_xor_sync")) {
  stic::emulation::demand_width(site, width);
  const int lane = stic::emulation::running_lane(), end = (lane & ~(width - 1)) + width;
  const int source = lane ^ lanes;
  return stic::emulation::shuffle(site, mask, value, source >= 0 && source < end ? source : lane);
}
template <typename T>
T __shfl_down_sync(uint32_t mask, T value, unsigned lanes, int width = 32,
                   stic::emulation::Site site = stic::emulation::Site("__shfl_down_sync")) {
  stic::emulation::demand_width(site, width);
  const int lane = stic::emulation::running_lane(), end = (lane & ~(width - 1)) + width;
  const int source = lanes < 32u ? lane + static_cast<int>(lanes) : end;
  return stic::emulation::shuffle(site, mask, value, source < end ? source : lane);
}

inline unsigned __ballot_sync(uint32_t mask, int predicate,
                              stic::emulation::Site site = stic::emulation::Site("__ballot_sync")) {
  return stic::emulation::ballot(site, mask, predicate != 0);
}
inline int __any_sync(uint32_t mask, int predicate, stic::emulation::Site site = stic::emulation::Site("__any_sync")) {
  return stic::emulation::ballot(site, mask, predicate != 0) != 0;
}
// A ballot of the contrary, in which absent lanes do not count.
inline int __all_sync(uint32_t mask, int predicate, stic::emulation::Site site = stic::emulation::Site("__all_sync")) {
  return stic::emulation::ballot(site, mask, predicate == 0) == 0;
}
