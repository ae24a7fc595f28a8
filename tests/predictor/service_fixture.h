#pragma once
// A predictor service on the fixed network, in process, with or without HTTP in front.

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "predictor/service/http_server.h"
#include "tests/predictor/fixed_network_model.h"
#include "tests/predictor/http_client.h"

namespace bitsearch {

class ServiceTest : public testing::Test {
 protected:
  /// The rows of RandomGenomes as JSON lists of indices.
  std::vector<std::vector<int>> Rows(std::size_t count, std::uint64_t seed = 31) const {
    const std::size_t genes = predictor_.space().size();
    const std::vector<std::uint8_t> genomes = RandomGenomes(predictor_.space(), count, seed);
    std::vector<std::vector<int>> rows;
    for (std::size_t r = 0; r < count; ++r) {
      rows.emplace_back(genomes.begin() + static_cast<std::ptrdiff_t>(r * genes),
                        genomes.begin() + static_cast<std::ptrdiff_t>((r + 1) * genes));
    }
    return rows;
  }
  double Top1(const std::vector<int>& row) const {
    const std::vector<std::uint8_t> genome(row.begin(), row.end());
    CandidateScore score;
    predictor_.Predict({genome.data(), 1, genome.size()}, {&score, 1});
    return score.top1_percent;
  }

  const Predictor predictor_{FixedNetworkModel()};
};

/// Serves in a thread until the end of the test, or Stop().
class HttpTest : public ServiceTest {
 protected:
  void Start(HttpOptions options = {}, ServiceOptions service_options = {}) {
    options.port = 0;
    service_ = std::make_unique<PredictionService>(predictor_, service_options);
    server_ = std::make_unique<HttpServer>(*service_, options);
    thread_ = std::thread([this] { server_->Serve(stop_); });
  }
  void Stop() {
    stop_.RequestStop();
    if (thread_.joinable()) thread_.join();
  }
  void TearDown() override { Stop(); }
  int port() const { return server_->port(); }

  std::unique_ptr<PredictionService> service_;
  std::unique_ptr<HttpServer> server_;
  StopToken stop_;
  std::thread thread_;
};

}  // namespace bitsearch
