// Search quality on the once-for-all predictor against the published search: twenty processor
// seconds.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "predictor/once_for_all.h"
#include "search/evolution/evolution_search.h"
#include "space/candidates/published_tables.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

TEST(EvolutionTest, OnceForAllSearchBeatsThePublishedSearchAtFiftyThousandCalls) {
  const auto folder = std::filesystem::path(BITSEARCH_SHARED_DATA) / "apq";
  if (!std::filesystem::exists(folder / "ofa_search_reference.json")) {
    GTEST_SKIP() << "no published data at " << folder;
  }
  const auto reference =
      nlohmann::json::parse(ReadTextFile(folder / "ofa_search_reference.json")).at("results");
  Predictor predictor(ReadOnceForAllPredictor(folder / "ofa_predictor_weights.npz"));
  const FactoredCost latency =
      ReadOnceForAllLatency(folder / "ofa_note10_lut.json", predictor.space());
  EvolutionOptions options;
  options.evaluations = 50'000;
  for (const auto& [limit, reached] : reference.items()) {
    const std::vector<CandidateLimit> limits = {{0, latency.LimitToGrid(std::stod(limit))}};
    double sum = 0.0;
    constexpr int kSeeds = 8;
    for (int seed = 0; seed < kSeeds; ++seed) {
      RunContext context;
      context.root_seed = static_cast<std::uint64_t>(seed);
      const EvolutionResult result =
          EvolveCandidates(predictor, {&latency, 1}, limits, options, context);
      EXPECT_LE(result.scored, 50'000);
      EXPECT_LE(result.best.costs.at(0), limits[0].most);
      sum += result.best.score.top1_percent;
    }
    RecordProperty("mean_top1_at_" + limit, std::to_string(sum / kSeeds));
    EXPECT_GE(sum / kSeeds, reached.at("best").get<double>()) << limit << " ms";
  }
}

}  // namespace
}  // namespace bitsearch
