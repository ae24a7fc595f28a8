// The whole way on a tiny network: supernet, decoded configuration within the budget, fine-tuning,
// evaluation of the frozen network.
#include <gtest/gtest.h>

#include "search/supernet/decode.h"
#include "search/supernet/dnas.h"
#include "search/supernet/fine_tune.h"
#include "space/hardware/costs.h"
#include "space/network/builtin.h"
#include "space/network/train.h"
#include "tests/space/network/synthetic_data.h"

namespace bitsearch {
namespace {

TEST(SupernetToTunedNetworkTest, StaysWithinTheBudgetAndKeepsItsAccuracy) {
  const Dataset train = SyntheticDataset(512, 1);
  const Dataset validation = SyntheticDataset(200, 2);
  TrainOptions training;
  training.epochs = 3;
  training.batch_size = 32;
  training.learning_rate = 0.05;
  training.crop_padding = 0;
  training.flip = false;
  const LayerGraph graph =
      Train(BuildResNet(8, {1, 8, 8, 10}, 1), train, validation, training, RunContext{}).graph;

  std::vector<BitChoice> candidates;
  for (const int weight : {2, 4, 8}) {
    for (const int activation : {4, 8}) {
      candidates.push_back({NumberFormat::Integer(weight), NumberFormat::Integer(activation)});
    }
  }
  const std::vector<std::vector<BitChoice>> choices(graph.layers().size(), candidates);
  AssignmentProblem problem;
  problem.loss.assign(choices.size(), std::vector<double>(candidates.size(), 0.0));
  Resource size;
  size.name = "size_bits";
  size.cost = SizeBitsOfChoices(graph, choices);
  // Uniform W4 does not fit: some layers must go to two bits.
  size.limit = TotalSizeBits(graph, BitConfig::Uniform(choices.size(), candidates[2])) * 4 / 5;
  problem.resources.push_back(size);

  DnasOptions search;
  search.epochs = 3;
  search.batch_size = 32;
  search.architecture_rate = 0.3;
  search.terms = {{SearchCostTerm::Kind::kHinge, "size_bits", 10.0, 0.0, 0.0}};
  search.quantizers.calibration_samples = 64;
  search.crop_padding = 0;
  search.flip = false;
  const DnasResult found = SearchDnas(graph, choices, {}, problem, train, search, RunContext{});

  const DecodeResult decoded =
      DecodeDistributions(found.space, found.probabilities, choices, problem, {}, RunContext{});
  ASSERT_FALSE(decoded.configs.empty());
  const BitConfig& config = decoded.configs[0].config;
  EXPECT_LE(TotalSizeBits(graph, config), *size.limit);

  FineTuneOptions tuning;
  tuning.epochs = 2;
  tuning.batch_size = 32;
  tuning.learning_rate = 0.02;
  tuning.quantizers.calibration_samples = 64;
  tuning.crop_padding = 0;
  tuning.flip = false;
  const FineTuneResult tuned =
      FineTune(found.graph, config, train, &validation, tuning, RunContext{}, &graph);
  EXPECT_EQ(tuned.network.config, config);
  EXPECT_GE(EvaluateTuned(tuned.network, validation, RunContext{}).top1_percent(), 95.0);
}

}  // namespace
}  // namespace bitsearch
