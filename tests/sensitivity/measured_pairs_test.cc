// Which pairs of layers are measured, and what their terms are.
#include "sensitivity/measured_pairs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/support/error.h"

namespace bitsearch {
namespace {

using ::testing::ElementsAre;

BitChoice Weights(int bits) { return {NumberFormat::Integer(bits), NumberFormat::Float32()}; }

/// Layers a, b, c, d with two choices each; b and d hurt most.
SensitivityReport FourLayers() {
  SensitivityReport report;
  for (const auto& [name, loss] :
       {std::pair("a", 0.01), std::pair("b", 1.0), std::pair("c", 0.04), std::pair("d", 0.36)}) {
    report.layers.push_back({name, {{Weights(2), loss, {}}, {Weights(4), loss / 4.0, {}}}});
  }
  return report;
}

LayerPair Pair(std::size_t a, std::size_t b) { return {LayerIndex(a), LayerIndex(b)}; }

TEST(MeasuredPairs, NeighboursFollowEachOther) {
  EXPECT_THAT(PairsToMeasure(FourLayers(), {PairRequest::Kind::kNeighbours, 0}),
              ElementsAre(Pair(0, 1), Pair(1, 2), Pair(2, 3)));
  EXPECT_TRUE(PairsToMeasure(FourLayers(), {}).empty());
}

TEST(MeasuredPairs, ABudgetGoesToWholePairsThatCanInteractMost) {
  EXPECT_TRUE(PairsToMeasure(FourLayers(), {PairRequest::Kind::kWithin, 3}).empty());
  EXPECT_THAT(PairsToMeasure(FourLayers(), {PairRequest::Kind::kWithin, 7}),
              ElementsAre(Pair(1, 3)));
  EXPECT_THAT(PairsToMeasure(FourLayers(), {PairRequest::Kind::kWithin, 12}),
              ElementsAre(Pair(1, 2), Pair(1, 3), Pair(2, 3)));
  EXPECT_EQ(PairsToMeasure(FourLayers(), {PairRequest::Kind::kWithin, 1000}).size(), 6U);
}

TEST(MeasuredPairs, TermsAreWhatTheSumOfTheLayersLeaves) {
  const SensitivityReport report = FourLayers();
  std::vector<std::vector<BitChoice>> effective(4, {Weights(2), Weights(4)});
  const std::vector<PairRow> rows = {
      {Pair(0, 1), Weights(2), Weights(4), {0.5, 0.0}, {0.75, 0.0}, {7.0, 0.0}}};
  const auto kl = PairTerms(report, effective, rows, "kl");
  ASSERT_EQ(kl.size(), 1U);
  EXPECT_EQ(kl[0].layer_a, "a");
  EXPECT_EQ(kl[0].choice_b, Weights(4));
  EXPECT_DOUBLE_EQ(kl[0].loss_increase, 0.5 - 0.01 - 0.25);
  EXPECT_DOUBLE_EQ(PairTerms(report, effective, rows, "loss")[0].loss_increase, 0.75 - 0.26);
  EXPECT_DOUBLE_EQ(PairTerms(report, effective, rows, "output-mse")[0].loss_increase, 7.0 - 0.26);
  // Choices that act alike share a row.
  effective[1] = {Weights(4), Weights(4)};
  EXPECT_EQ(PairTerms(report, effective, rows, "kl").size(), 2U);
  effective[1].pop_back();
  EXPECT_THROW(PairTerms(report, effective, rows, "kl"), Error);
}

TEST(MeasuredPairs, RequestsReadAndWriteEqual) {
  for (const char* text : {"none", "neighbours", "1", "2000"}) {
    ASSERT_TRUE(ParsePairRequest(text).has_value()) << text;
    EXPECT_EQ(ToString(*ParsePairRequest(text)), text);
  }
  for (const char* text : {"", "0", "-3", "12x", "all", "1e3", "99999999999"}) {
    EXPECT_FALSE(ParsePairRequest(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace bitsearch
