// Golden: the shipped once-for-all predictor and the Note10 table reproduce the reference rows.
#include "predictor/once_for_all.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "predictor/predictor.h"
#include "space/candidates/published_spaces.h"
#include "space/candidates/published_tables.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

class OnceForAllTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(BITSEARCH_SHARED_DATA) / "apq";
    if (!std::filesystem::exists(folder_ / "ofa_golden_256.json")) {
      GTEST_SKIP() << "no published data at " << folder_;
    }
  }
  std::filesystem::path folder_;
};

TEST_F(OnceForAllTest, GoldenRowsAreReproduced) {
  Predictor predictor(ReadOnceForAllPredictor(folder_ / "ofa_predictor_weights.npz"));
  const FactoredCost latency =
      ReadOnceForAllLatency(folder_ / "ofa_note10_lut.json", predictor.space());
  const auto json = nlohmann::json::parse(ReadTextFile(folder_ / "ofa_golden_256.json"));
  std::vector<std::uint8_t> genomes;
  for (const auto& row : json.at("rows")) {
    for (const int gene : row.at(0)) genomes.push_back(static_cast<std::uint8_t>(gene));
  }
  const std::size_t rows = json.at("rows").size();
  ASSERT_EQ(rows, 256U);
  const GenomeView view{genomes.data(), rows, predictor.space().size()};
  predictor.space().Validate(view);
  std::vector<CandidateScore> scores(rows);
  std::vector<std::int64_t> costs(rows);
  predictor.Evaluate(view, scores);
  latency.Evaluate(view, costs);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto& row = json.at("rows").at(r);
    EXPECT_NEAR(scores[r].top1_percent / 100.0, row.at(1).get<double>(), 1e-5) << r;
    EXPECT_NEAR(latency.FromGrid(costs[r]), row.at(2).get<double>(), 1e-3) << r;
  }
}

TEST_F(OnceForAllTest, PublishedArchitectureHasItsPublishedFigures) {
  // The architecture that once-for-all's tutorial prints for 25 ms on this phone.
  Predictor predictor(ReadOnceForAllPredictor(folder_ / "ofa_predictor_weights.npz"));
  const FactoredCost latency =
      ReadOnceForAllLatency(folder_ / "ofa_note10_lut.json", predictor.space());
  const int kernels[5][4] = {{5, 3}, {5, 3}, {7, 7, 3}, {5, 5, 7, 3}, {3, 3, 5}};
  const int expands[5][4] = {{3, 3}, {4, 4}, {6, 3, 4}, {4, 4, 4, 3}, {6, 6, 6}};
  std::vector<std::pair<std::string, std::string>> values = {{"resolution", "192"}};
  for (std::size_t s = 0; s < 5; ++s) {
    int depth = 0;
    for (std::size_t b = 0; b < 4 && kernels[s][b] != 0; ++b, ++depth) {
      const std::string block = "block" + std::to_string(4 * s + b);
      values.emplace_back(block + ".kernel", std::to_string(kernels[s][b]));
      values.emplace_back(block + ".expand", std::to_string(expands[s][b]));
    }
    values.emplace_back("stage" + std::to_string(s) + ".depth", std::to_string(depth));
  }
  const std::vector<std::uint8_t> genome = predictor.space().Parse(values);
  const GenomeView view{genome.data(), 1, genome.size()};
  CandidateScore score;
  std::int64_t cost = 0;
  predictor.Evaluate(view, {&score, 1});
  latency.Evaluate(view, {&cost, 1});
  EXPECT_NEAR(score.top1_percent, 81.71, 0.005);
  EXPECT_NEAR(latency.FromGrid(cost), 24.73, 0.005);
}

}  // namespace
}  // namespace bitsearch
