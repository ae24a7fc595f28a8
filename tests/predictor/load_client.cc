// load_client PORT KIND CONNECTIONS SECONDS [ROWS]: a bounded load on a service on this machine.
// KIND: single (one configuration a request) or batch (ROWS configurations, default 1000). Prints
// one line of JSON: requests and predictions per second, latencies in ms, and the share of the
// service's time that its predictor took, from /metrics. The model is write_test_predictor's.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/predictor/fixed_network_model.h"
#include "tests/predictor/http_client.h"

namespace bitsearch {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

double Metric(int port, const std::string& name) {
  HttpClient client(port);
  const std::string text = client.Get("/metrics").body;
  const std::size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? 0.0 : std::stod(text.substr(at + name.size() + 2));
}

int Run(int port, bool batch, std::size_t connections, double seconds, std::size_t rows) {
  const CandidateSpace space = FixedNetworkModel().encoding.space();
  std::vector<std::string> requests;
  for (std::size_t r = 0; r < (batch ? 4U : 256U); ++r) {
    const std::size_t count = batch ? rows : 1;
    const std::vector<std::uint8_t> genomes = RandomGenomes(space, count, 100 + r);
    Json list = Json::array();
    for (std::size_t i = 0; i < count; ++i) {
      list.push_back(
          std::vector<int>(genomes.begin() + static_cast<std::ptrdiff_t>(i * space.size()),
                           genomes.begin() + static_cast<std::ptrdiff_t>((i + 1) * space.size())));
    }
    requests.push_back(
        HttpClient::PostText("/v1/predict", batch ? Json({{"rows", list}}).dump()
                                                  : Json({{"indices", list[0]}}).dump()));
  }
  const double predictor_before = Metric(port, "bitsearch_predictor_seconds_total");
  const double served_before = Metric(port, "bitsearch_http_request_seconds_sum");
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(std::min(seconds, 60.0)));
  std::vector<std::vector<double>> latencies(connections);
  std::vector<std::size_t> failures(connections, 0);
  {
    std::vector<std::jthread> threads;
    for (std::size_t c = 0; c < connections; ++c) {
      threads.emplace_back([&, c] {
        HttpClient client(port);
        for (std::size_t i = c; Clock::now() < end; ++i) {
          const auto sent = Clock::now();
          client.Send(requests[i % requests.size()]);
          const HttpReply reply = client.Receive();
          if (reply.status != 200) {
            ++failures[c];
            return;
          }
          latencies[c].push_back(
              std::chrono::duration<double, std::milli>(Clock::now() - sent).count());
        }
      });
    }
  }
  const double took = std::chrono::duration<double>(Clock::now() - start).count();
  std::vector<double> all;
  std::size_t failed = 0;
  for (std::size_t c = 0; c < connections; ++c) {
    all.insert(all.end(), latencies[c].begin(), latencies[c].end());
    failed += failures[c];
  }
  if (all.empty()) return 1;
  std::sort(all.begin(), all.end());
  const auto quantile = [&all](double q) {
    return all[std::min(all.size() - 1,
                        static_cast<std::size_t>(q * static_cast<double>(all.size())))];
  };
  const double per_second = static_cast<double>(all.size()) / took;
  const double predictor = Metric(port, "bitsearch_predictor_seconds_total") - predictor_before;
  const double served = Metric(port, "bitsearch_http_request_seconds_sum") - served_before;
  std::printf("%s\n",
              Json({{"requests_per_second", per_second},
                    {"predictions_per_second", per_second * static_cast<double>(batch ? rows : 1)},
                    {"p50_ms", quantile(0.5)},
                    {"p99_ms", quantile(0.99)},
                    {"failed_connections", failed},
                    {"predictor_share", predictor / served}})
                  .dump()
                  .c_str());
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace bitsearch

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  return bitsearch::Run(std::atoi(argv[1]), std::string(argv[2]) == "batch", std::stoul(argv[3]),
                        std::stod(argv[4]), argc > 5 ? std::stoul(argv[5]) : 1000);
}
