#pragma once
// How far a task is, how long it will still take, and how to say so in one line. Pure text: who
// prints it, and where, is the command line's business.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bitsearch {

/// Estimates the time left of one task from its mean speed since the first report. Units that were
/// done before that report (a resumed run) do not count as speed.
class TimeEstimate {
 public:
  /// `done` of `total` units are finished at `now_s` (seconds on any steady clock).
  void Update(std::int64_t done, std::int64_t total, double now_s);
  std::int64_t done() const { return done_; }
  std::int64_t total() const { return total_; }
  double elapsed_s() const { return now_s_ - start_s_; }
  bool finished() const { return total_ > 0 && done_ >= total_; }
  /// Seconds; nothing until there is a speed and a total.
  std::optional<double> RemainingSeconds() const;

 private:
  bool started_ = false;
  double start_s_ = 0.0;
  double now_s_ = 0.0;
  std::int64_t start_done_ = 0;
  std::int64_t done_ = 0;
  std::int64_t total_ = 0;
};

/// "45 s", "2 min 5 s", "1 h 3 min", "2 d 4 h".
std::string FormatDuration(double seconds);

/// "evaluate [########        ] 12/24 50% 1 min 5 s left", at most `columns` wide. Without a total:
/// "evaluate 12".
std::string FormatBar(std::string_view task, const TimeEstimate& estimate, int columns);

/// "evaluate: 12 of 24 (50 %), 1 min 5 s left"
std::string FormatProgressLine(std::string_view task, const TimeEstimate& estimate);

}  // namespace bitsearch
