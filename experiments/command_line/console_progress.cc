// Progress on standard error. Must not know what the tasks are.
#include "experiments/command_line/console_progress.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>

#include "space/support/progress.h"

namespace bitsearch {
namespace {

double NowSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Common to both: one estimate per task, one lock.
class ConsoleProgress : public ProgressSink {
 public:
  ConsoleProgress() : logger_("bitsearch", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    logger_.set_pattern("[%H:%M:%S] %v");
    logger_.flush_on(spdlog::level::info);
  }

  void Progress(std::string_view task, std::int64_t done, std::int64_t total) override {
    const std::lock_guard lock(mutex_);
    Task& state = tasks_[std::string(task)];
    const double now_s = NowSeconds();
    state.estimate.Update(done, total, now_s);
    const bool last = state.estimate.finished();
    if (!last && now_s - state.shown_s < interval_s_) return;
    state.shown_s = now_s;
    Show(task, state.estimate);
    if (last) tasks_.erase(std::string(task));
  }

  void Log(std::string_view line) override {
    const std::lock_guard lock(mutex_);
    Clear();
    logger_.info("{}", line);
  }

  void Warning(std::string_view line) override {
    const std::lock_guard lock(mutex_);
    Clear();
    logger_.warn("warning: {}", line);
  }

 protected:
  virtual void Show(std::string_view task, const TimeEstimate& estimate) = 0;
  /// Takes a bar off the screen before a line is printed.
  virtual void Clear() {}

  double interval_s_ = 10.0;
  spdlog::logger logger_;

 private:
  struct Task {
    TimeEstimate estimate;
    double shown_s = NowSeconds();
  };
  std::mutex mutex_;
  std::map<std::string, Task> tasks_;
};

class LogLines : public ConsoleProgress {
 protected:
  void Show(std::string_view task, const TimeEstimate& estimate) override {
    logger_.info("{}", FormatProgressLine(task, estimate));
  }
};

class TerminalBar : public ConsoleProgress {
 public:
  TerminalBar() { interval_s_ = 0.1; }
  ~TerminalBar() override { Clear(); }

 protected:
  void Show(std::string_view task, const TimeEstimate& estimate) override {
    winsize size{};
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    constexpr int kUsualColumns = 80;
    const int columns = known ? size.ws_col : kUsualColumns;
    const std::string bar = FormatBar(task, estimate, columns - 1);
    std::fprintf(stderr, "\r\033[K%s%s", bar.c_str(), estimate.finished() ? "\n" : "");
    std::fflush(stderr);
    shown_ = !estimate.finished();
  }

  void Clear() override {
    if (shown_) std::fputs("\r\033[K", stderr);
    shown_ = false;
  }

 private:
  bool shown_ = false;
};

}  // namespace

std::shared_ptr<ProgressSink> MakeConsoleProgress() {
  if (::isatty(STDERR_FILENO) != 0) return std::make_shared<TerminalBar>();
  return std::make_shared<LogLines>();
}

}  // namespace bitsearch
