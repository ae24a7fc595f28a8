// Clocks and children.
#include "experiments/benchmarks/solver_benchmark/measure.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <limits>

namespace bitsearch {

StopAfterCpu::StopAfterCpu(double seconds, StopToken stop)
    : watcher_([this, seconds, stop] {
        const CpuClock clock;
        while (!done_ && clock.Seconds() < seconds) {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        stop.RequestStop();
      }) {}

StopAfterCpu::~StopAfterCpu() {
  done_ = true;
  watcher_.join();
}

double LeastSeconds(const std::function<void()>& work) {
  double least = std::numeric_limits<double>::infinity();
  double total = 0.0;
  do {
    const CpuClock clock;
    work();
    const double seconds = clock.Seconds();
    least = std::min(least, seconds);
    total += seconds;
  } while (total < 0.05);
  return least;
}

double PeakMebibytes(const std::function<void()>& work) {
  const auto peak_of = [](const std::function<void()>& body) {
    const pid_t child = fork();
    if (child == 0) {
      body();
      _exit(0);
    }
    rusage usage{};
    int status = 0;
    wait4(child, &status, 0, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024.0;
  };
  const double before = peak_of([] {});
  return std::max(0.0, peak_of(work) - before);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

double Largest(const std::vector<double>& values) {
  return *std::max_element(values.begin(), values.end());
}

}  // namespace bitsearch
