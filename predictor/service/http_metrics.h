#pragma once
// Counters of the HTTP service in Prometheus' text format. Must not know HTTP.

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace bitsearch {

/// Thread-safe.
class HttpMetrics {
 public:
  /// A finished request. `path` must be one of a fixed set, or the output would grow with requests.
  void CountRequest(const std::string& path, int status, double seconds);
  /// A connection that was turned away because the queue was full.
  void CountRejected();

  struct Gauges {
    std::size_t open_connections = 0;
    std::size_t queued_connections = 0;
    std::uint64_t predicted = 0;
    std::uint64_t predictor_ns = 0;
    std::size_t told = 0;
    std::size_t asked = 0;
  };
  std::string Text(const Gauges& gauges) const;

 private:
  static constexpr std::array<double, 11> kBounds = {
      0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0};
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> requests_;
  std::array<std::uint64_t, kBounds.size() + 1> buckets_{};
  double seconds_ = 0.0;
  std::uint64_t rejected_ = 0;
};

}  // namespace bitsearch
