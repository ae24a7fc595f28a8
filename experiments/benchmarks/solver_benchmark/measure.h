#pragma once
// Time and memory of one computation. CPU seconds of the process: other load on the machine changes
// them little, and everything here runs on one thread.

#include <atomic>
#include <ctime>
#include <functional>
#include <thread>
#include <vector>

#include "space/support/run_context.h"

namespace bitsearch {

/// CPU seconds since construction.
class CpuClock {
 public:
  CpuClock() { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start_); }
  double Seconds() const {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec - start_.tv_sec) +
           1e-9 * static_cast<double>(now.tv_nsec - start_.tv_nsec);
  }

 private:
  timespec start_{};
};

/// Requests a stop when the process has used so many CPU seconds more: a limit on time that other
/// load on the machine does not change. Watches from a thread of its own until destroyed.
class StopAfterCpu {
 public:
  StopAfterCpu(double seconds, StopToken stop);
  ~StopAfterCpu();
  StopAfterCpu(const StopAfterCpu&) = delete;
  StopAfterCpu& operator=(const StopAfterCpu&) = delete;

 private:
  std::atomic<bool> done_ = false;
  std::thread watcher_;
};

/// Runs `work` until it has taken 50 ms in all, at least once; the least time of one run.
double LeastSeconds(const std::function<void()>& work);

/// Peak memory (MiB) that `work` adds to a process: it runs in a child.
double PeakMebibytes(const std::function<void()>& work);

double Median(std::vector<double> values);
double Largest(const std::vector<double>& values);

}  // namespace bitsearch
