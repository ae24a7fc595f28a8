#pragma once
// What a long computation is given from outside: seed, threads, a way to stop it, a place to report
// to. There are no globals; whoever runs something hands it a RunContext.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace bitsearch {

/// A copyable flag that asks a computation to stop soon. Setting it is async-signal-safe.
class StopToken {
 public:
  StopToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
  void RequestStop() const noexcept { flag_->store(true, std::memory_order_relaxed); }
  bool StopRequested() const noexcept { return flag_->load(std::memory_order_relaxed); }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

/// Receives progress. Calls may come from any thread, one at a time per task.
class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  /// `done` of `total` units of `task` are finished; total 0 means unknown.
  virtual void Progress(std::string_view task, std::int64_t done, std::int64_t total) = 0;
  /// One line for the log.
  virtual void Log(std::string_view line) = 0;
  /// Something the user must see (a table without gains, a collapsed supernet, …).
  virtual void Warning(std::string_view line) = 0;
};

/// Drops everything; the default.
class NullProgressSink : public ProgressSink {
 public:
  void Progress(std::string_view, std::int64_t, std::int64_t) override {}
  void Log(std::string_view) override {}
  void Warning(std::string_view) override {}
};

/// Seed, thread budget, stop token and progress sink of one run. Cheap to copy.
struct RunContext {
  std::uint64_t root_seed = 0;
  /// Most threads the computation may use in all (outer × inner); at least 1.
  int threads = 1;
  StopToken stop;
  std::shared_ptr<ProgressSink> progress = std::make_shared<NullProgressSink>();

  /// Throws Error(kInterrupted) if a stop was requested.
  void ThrowIfStopped() const;
};

}  // namespace bitsearch
