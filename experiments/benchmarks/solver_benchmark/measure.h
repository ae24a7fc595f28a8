#pragma once
// Time and memory of one computation. CPU seconds of the process: other load on the machine changes
// them little, and everything here runs on one thread.

#include <ctime>
#include <functional>
#include <vector>

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

/// Runs `work` until it has taken 50 ms in all, at least once; the least time of one run.
double LeastSeconds(const std::function<void()>& work);

/// Peak memory (MiB) that `work` adds to a process: it runs in a child.
double PeakMebibytes(const std::function<void()>& work);

double Median(std::vector<double> values);
double Largest(const std::vector<double>& values);

}  // namespace bitsearch
