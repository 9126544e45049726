// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT
#include "block.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "fiber.h"
#include "memory.h"

namespace stic::emulation {

Position position;
Schedule schedule;

namespace {

constexpr int kLanes = 32;
constexpr uint32_t kAll = 0xFFFFFFFFu;

enum class State { kRunning, kAtWarp, kAtBlock, kReturned };

struct Thread {
  Fiber fiber;
  Index index;
  int number, warp, lane;
  State state;
  Site site;      // where it waits
  uint32_t mask;  // for whom, in its warp
};

// Lanes are taken in the order of their ranks.
struct Warp {
  uint32_t present, waiting, ready_ranks;
  uint8_t lane_of[kLanes], rank_of[kLanes];
  void* brought[kLanes];
};

// The block that runs. There is one at a time.
struct Block {
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<int> warp_of;  // by rank
  uint32_t ready_warps;      // by rank; a warp without ready lanes may be among them
  int rank;                  // of the warp that runs
  Thread* running = nullptr;
  int returned, at_barrier;
  int tally, verdict;  // of the votes so far; of the latest barrier
  uint64_t random;
  void (*body)(void*);
  void* context;
  std::string fault;
} block;

uint32_t first_bits(size_t count) { return count == 32 ? kAll : (1u << count) - 1; }

uint32_t random_below(uint32_t bound) {
  block.random = block.random * 6364136223846793005u + 1442695040888963407u;
  return static_cast<uint32_t>(block.random >> 33) % bound;
}

Index unflattened(uint64_t number, const Index& size) {
  return {static_cast<unsigned>(number % size.x), static_cast<unsigned>(number / size.x % size.y),
          static_cast<unsigned>(number / size.x / size.y)};
}

template <typename T>
void arrange(std::vector<T>& items, Order order) {
  if (order == Order::kDescending) std::reverse(items.begin(), items.end());
  if (order == Order::kShuffled)
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random_below(static_cast<uint32_t>(i))]);
}

// Who is where, for a block in which nobody can go on.
std::string census() {
  std::map<std::string, int> crowds;
  for (const Thread& thread : block.threads)
    if (thread.state == State::kAtBlock)
      ++crowds[text_of(thread.site) + "|" + thread.site.operation];
    else if (thread.state == State::kAtWarp)
      ++crowds[text_of(thread.site) + "|" + thread.site.operation + " of " + text_of_lanes(thread.mask) + " in warp " +
               std::to_string(thread.warp)];
  std::string report;
  for (const auto& [place, count] : crowds) {
    const size_t bar = place.find('|');
    if (report.empty())
      report = place.substr(0, bar) + ": " + std::to_string(count) + " of " + std::to_string(block.threads.size()) +
               " threads reached " + place.substr(bar + 1);
    else
      report += ", " + std::to_string(count) + " wait at " + place.substr(0, bar) + " in " + place.substr(bar + 1);
  }
  if (block.returned > 0) report += ", " + std::to_string(block.returned) + " have returned";
  return report;
}

// The next thread that can run, or null.
Thread* next() {
  while (block.ready_warps) {
    const int number = block.warp_of[block.rank];
    Warp& warp = block.warps[number];
    if (warp.ready_ranks) {
      const int rank = __builtin_ctz(warp.ready_ranks);
      warp.ready_ranks &= warp.ready_ranks - 1;
      return &block.threads[number * kLanes + warp.lane_of[rank]];
    }
    block.ready_warps &= ~(1u << block.rank);
    if (block.ready_warps) block.rank = __builtin_ctz(block.ready_warps);
  }
  return nullptr;
}

void enter(Thread& thread) {
  block.running = &thread;
  thread.state = State::kRunning;
  position.thread = thread.index;
}

// Lets others run until the running thread, which has said what it waits for, can go on.
void yield() {
  Thread *const self = block.running, *const other = next();
  if (!other) throw Fault(census());
  enter(*other);
  if (other != self) jump(self->fiber, other->fiber);
}

Thread& running_or_fault(const Site& site) {
  if (!block.running) fault(site, site.operation);
  return *block.running;
}

void wake_all() {
  for (Warp& warp : block.warps) warp.ready_ranks = warp.present;  // ranks fill the same bits as lanes
  block.ready_warps = first_bits(block.warps.size());
  block.rank = 0;
}

void wake(Warp& warp, uint32_t lanes) {
  if (lanes == kAll)
    warp.ready_ranks = kAll;
  else
    for (uint32_t rest = lanes; rest; rest &= rest - 1) warp.ready_ranks |= 1u << warp.rank_of[__builtin_ctz(rest)];
  block.ready_warps |= 1u << block.rank;
}

// Gives the turn to a warp picked by chance.
void hop() {
  const uint32_t start = random_below(kLanes);
  const uint32_t behind = block.ready_warps >> start << start;
  block.rank = __builtin_ctz(behind ? behind : block.ready_warps);
}

// Whether all lanes that a waiting thread names wait at the same place for the same lanes.
bool all_agree(const Thread& self) {
  const Thread* const lanes = &self - self.lane;
  for (uint32_t rest = self.mask; rest; rest &= rest - 1) {
    const Thread& other = lanes[__builtin_ctz(rest)];
    if (other.mask != self.mask || !(other.site == self.site)) return false;
  }
  return true;
}

// What a fiber does: one thread, and then whatever else can run.
void run_thread() {
  arrived();
  try {
    block.body(block.context);
    Thread* const self = block.running;
    self->state = State::kReturned;
    end_thread(self->number);
    if (++block.returned < static_cast<int>(block.threads.size())) yield();
  } catch (const std::exception& error) {
    block.fault = error.what();
  }
  jump(block.running->fiber, main_fiber());
  std::abort();
}

void form_warp(size_t number, size_t first, size_t lanes) {
  Warp& warp = block.warps[number];
  std::vector<int> order(lanes);
  std::iota(order.begin(), order.end(), 0);
  arrange(order, schedule.threads);
  warp.present = first_bits(lanes);
  warp.waiting = 0;
  for (size_t rank = 0; rank < lanes; ++rank) {
    warp.lane_of[rank] = static_cast<uint8_t>(order[rank]);
    warp.rank_of[order[rank]] = static_cast<uint8_t>(rank);
  }
  for (size_t lane = 0; lane < lanes; ++lane) {
    Thread& thread = block.threads[first + lane];
    thread.number = static_cast<int>(first + lane);
    thread.warp = static_cast<int>(number);
    thread.lane = static_cast<int>(lane);
    thread.index = unflattened(first + lane, position.threads);
    thread.state = State::kRunning;
    prepare(thread.fiber, thread.number, run_thread);
  }
}

void form_block(size_t threads) {
  block.threads.resize(threads);
  block.warps.resize((threads + kLanes - 1) / kLanes);
  block.warp_of.resize(block.warps.size());
  std::iota(block.warp_of.begin(), block.warp_of.end(), 0);
  arrange(block.warp_of, schedule.threads);
  for (size_t warp = 0; warp < block.warps.size(); ++warp)
    form_warp(warp, warp * kLanes, std::min<size_t>(kLanes, threads - warp * kLanes));
  wake_all();
  block.returned = block.at_barrier = 0;
}

void run_block(size_t threads, size_t shared) {
  form_block(threads);
  begin_block(static_cast<int>(threads), shared);
  enter(*next());
  jump(main_fiber(), block.running->fiber);
  block.running = nullptr;
  const std::string overrun = end_block();
  const std::string trouble = block.fault.empty() ? overrun : block.fault;
  block.fault.clear();
  if (trouble.empty()) return;
  sweep_stacks();
  throw Fault(trouble + " [block " + text_of(position.block) + "]");
}

}  // namespace

void fault(const Site& site, const std::string& message) {
  throw Fault(text_of(site) + ": " + message +
              (block.running ? " [thread " + text_of(block.running->index) + "]" : " outside of a kernel"));
}

int running_thread() { return block.running->number; }

void run_grid(const Grid& grid, void (*body)(void*), void* context) {
  block.body = body;
  block.context = context;
  block.random = schedule.seed;
  position.threads = grid.threads;
  position.grid = grid.blocks;
  std::vector<uint64_t> order(uint64_t{grid.blocks.x} * grid.blocks.y * grid.blocks.z);
  std::iota(order.begin(), order.end(), uint64_t{0});
  arrange(order, schedule.blocks);
  for (const uint64_t flat : order) {
    position.block = unflattened(flat, grid.blocks);
    run_block(size_t{grid.threads.x} * grid.threads.y * grid.threads.z, grid.shared);
  }
}

int meet_block(const Site& site, Vote vote, bool predicate) {
  Thread& self = running_or_fault(site);
  self.state = State::kAtBlock;
  self.site = site;
  const int total = static_cast<int>(block.threads.size());
  if (block.at_barrier++ == 0) block.tally = 0;
  block.tally += predicate;
  if (block.at_barrier == total) {
    for (const Thread& thread : block.threads)
      if (!(thread.site == site)) throw Fault(census());
    block.verdict = vote == Vote::kAny ? block.tally > 0 : vote == Vote::kAll ? block.tally == total : block.tally;
    block.at_barrier = 0;
    wake_all();
  }
  yield();
  return block.verdict;
}

void meet_warp(const Site& site, uint32_t mask, void* brought, Complete complete) {
  Thread& self = running_or_fault(site);
  Warp& warp = block.warps[self.warp];
  const uint32_t bit = 1u << self.lane;
  if (!(mask & bit))
    fault(site,
          std::string(site.operation) + " of " + text_of_lanes(mask) + " called by lane " + std::to_string(self.lane));
  mask &= warp.present;
  self.state = State::kAtWarp;
  self.site = site;
  self.mask = mask;
  warp.brought[self.lane] = brought;
  warp.waiting |= bit;
  if ((warp.waiting & mask) == mask && all_agree(self)) {
    complete(warp.brought, mask);
    warp.waiting &= ~mask;
    wake(warp, mask);
    if (schedule.hop) hop();
  }
  yield();
}

void meet_whole_warp(const Site& site, void* brought, Complete complete) {
  const Thread& self = running_or_fault(site);
  if (block.warps[self.warp].present != kAll)
    fault(site, std::string(site.operation) + " needs 32 lanes, and the block's last warp has fewer");
  meet_warp(site, kAll, brought, complete);
}

}  // namespace stic::emulation
