// Time estimates and their text. Must not print.
#include "space/support/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bitsearch {
namespace {

double Fraction(const TimeEstimate& estimate) {
  if (estimate.total() <= 0) return 0.0;
  return std::clamp(static_cast<double>(estimate.done()) / static_cast<double>(estimate.total()),
                    0.0, 1.0);
}

std::string TimeText(const TimeEstimate& estimate) {
  if (estimate.finished()) return "done in " + FormatDuration(estimate.elapsed_s());
  const auto remaining = estimate.RemainingSeconds();
  return remaining.has_value() ? FormatDuration(*remaining) + " left" : "";
}

}  // namespace

void TimeEstimate::Update(std::int64_t done, std::int64_t total, double now_s) {
  if (!started_ || done < done_) {  // the first report, or the task began anew
    started_ = true;
    start_s_ = now_s;
    start_done_ = done;
  }
  done_ = done;
  total_ = total;
  now_s_ = now_s;
}

std::optional<double> TimeEstimate::RemainingSeconds() const {
  const std::int64_t gained = done_ - start_done_;
  if (gained <= 0 || total_ <= 0 || elapsed_s() <= 0.0) return std::nullopt;
  const auto left = static_cast<double>(std::max<std::int64_t>(0, total_ - done_));
  return left * elapsed_s() / static_cast<double>(gained);
}

std::string FormatDuration(double seconds) {
  const auto total = static_cast<std::int64_t>(std::llround(std::max(0.0, seconds)));
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  const auto two = [](std::int64_t large, const char* unit, std::int64_t small, const char* rest) {
    return small == 0 ? fmt::format("{} {}", large, unit)
                      : fmt::format("{} {} {} {}", large, unit, small, rest);
  };
  if (total < kMinute) return fmt::format("{} s", total);
  if (total < kHour) return two(total / kMinute, "min", total % kMinute, "s");
  if (total < kDay) return two(total / kHour, "h", total % kHour / kMinute, "min");
  return two(total / kDay, "d", total % kDay / kHour, "h");
}

std::string FormatBar(std::string_view task, const TimeEstimate& estimate, int columns) {
  if (estimate.total() <= 0) {
    return fmt::format("{} {}", task, estimate.done()).substr(0, std::max(columns, 0));
  }
  const std::string tail = fmt::format("{}/{} {:.0f}% {}", estimate.done(), estimate.total(),
                                       std::floor(100.0 * Fraction(estimate)), TimeText(estimate));
  const int room = columns - static_cast<int>(task.size() + tail.size()) - 4;
  constexpr int kWidest = 30;
  constexpr int kNarrowest = 5;
  if (room < kNarrowest) {
    return fmt::format("{} {}", task, tail).substr(0, std::max(columns, 0));
  }
  const int width = std::min(room, kWidest);
  const int full = static_cast<int>(Fraction(estimate) * width);
  return fmt::format("{} [{}{}] {}", task, std::string(full, '#'), std::string(width - full, ' '),
                     tail);
}

std::string FormatProgressLine(std::string_view task, const TimeEstimate& estimate) {
  if (estimate.total() <= 0) return fmt::format("{}: {}", task, estimate.done());
  const std::string time = TimeText(estimate);
  return fmt::format("{}: {} of {} ({:.0f} %){}{}", task, estimate.done(), estimate.total(),
                     std::floor(100.0 * Fraction(estimate)), time.empty() ? "" : ", ", time);
}

}  // namespace bitsearch
