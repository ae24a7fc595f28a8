// Text exposition, version 0.0.4.
#include "predictor/service/http_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace bitsearch {

void HttpMetrics::CountRequest(const std::string& path, int status, double seconds) {
  const auto bucket = static_cast<std::size_t>(
      std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin());
  const std::lock_guard lock(mutex_);
  ++requests_[{path, status}];
  ++buckets_[bucket];
  seconds_ += seconds;
}

void HttpMetrics::CountRejected() {
  const std::lock_guard lock(mutex_);
  ++rejected_;
}

std::string HttpMetrics::Text(const Gauges& gauges) const {
  std::string out;
  const auto head = [&out](const char* name, const char* type, const char* help) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
  };
  const auto single = [&](const char* name, const char* type, const char* help, auto value) {
    head(name, type, help);
    fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
  };
  const std::lock_guard lock(mutex_);
  head("bitsearch_http_requests_total", "counter", "Requests answered.");
  for (const auto& [key, count] : requests_) {
    fmt::format_to(std::back_inserter(out),
                   "bitsearch_http_requests_total{{path=\"{}\",code=\"{}\"}} {}\n", key.first,
                   key.second, count);
  }
  head("bitsearch_http_request_seconds", "histogram",
       "From the first byte of a request to the last byte of its answer.");
  std::uint64_t sum = 0;
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    sum += buckets_[b];
    fmt::format_to(std::back_inserter(out),
                   "bitsearch_http_request_seconds_bucket{{le=\"{}\"}} {}\n",
                   b < kBounds.size() ? fmt::format("{}", kBounds[b]) : "+Inf", sum);
  }
  fmt::format_to(std::back_inserter(out),
                 "bitsearch_http_request_seconds_sum {}\nbitsearch_http_request_seconds_count {}\n",
                 seconds_, sum);
  single("bitsearch_http_rejected_total", "counter", "Connections turned away: queue full.",
         rejected_);
  single("bitsearch_http_connections", "gauge", "Connections being served.",
         gauges.open_connections);
  single("bitsearch_http_queue", "gauge", "Connections waiting for a worker.",
         gauges.queued_connections);
  single("bitsearch_predictions_total", "counter", "Configurations predicted.", gauges.predicted);
  single("bitsearch_predictor_seconds_total", "counter", "Time spent in predictor and costs.",
         static_cast<double>(gauges.predictor_ns) * 1e-9);
  single("bitsearch_told_total", "counter", "Measured accuracies told.", gauges.told);
  single("bitsearch_asked_total", "counter", "Configurations asked for.", gauges.asked);
  return out;
}

}  // namespace bitsearch
