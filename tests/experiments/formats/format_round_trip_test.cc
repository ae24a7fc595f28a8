// Random configurations: what a format can hold comes back as it was; anything else is refused,
// naming a layer; nothing is dropped in silence.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "space/support/error.h"
#include "tests/experiments/formats/format_samples.h"

namespace bitsearch {
namespace {

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const ConfigFormat& format : ConfigFormats()) {
    if (!format.binary) names.push_back(format.name);
  }
  return names;
}

class FormatRoundTripTest : public testing::TestWithParam<std::string> {
 protected:
  const ConfigFormat& format() const { return ConfigFormatNamed(GetParam()); }
};

TEST_P(FormatRoundTripTest, GivesBackWhatTheFormatHolds) {
  constexpr int kConfigs = 15;
  std::mt19937 random(20);
  for (const LayerGraph* graph : Networks()) {
    for (int i = 0; i < kConfigs; ++i) {
      SampleRange range = HoldableRange(GetParam());
      range.symmetric_activations = !range.from_zero && random() % 2 == 0;
      if (GetParam() == "aimet" || GetParam() == "aimet2" || GetParam() == "ort") {
        range.symmetric_weights = random() % 2 == 0;
        range.per_channel = random() % 2 == 0;
      }
      // An asymmetric grid of fewer bits than its type may clamp a weight that the type does not.
      if (GetParam() == "ort" && !range.symmetric_weights) {
        range.weights = {NumberFormat::Integer(4), NumberFormat::Integer(8),
                         NumberFormat::Integer(16), NumberFormat::Float32()};
      }
      if (GetParam() == "torchao") range.symmetric_weights = random() % 2 == 0;
      const ConfigDocument before = RandomConfig(*graph, range, random);
      const ConfigDocument after = RoundTrip(GetParam(), before, *graph);
      ASSERT_EQ(Difference(before, after, format().holds_quantizers), "") << "configuration " << i;
      if (!format().holds_quantizers || !after.weights) continue;
      EXPECT_EQ(after.weights->granularity, before.weights->granularity);
      EXPECT_EQ(after.weights->symmetric, before.weights->symmetric);
    }
  }
  if (SharedResNet20() == nullptr) GTEST_LOG_(INFO) << "without the shared ResNet-20";
}

TEST_P(FormatRoundTripTest, HoldsOrRefuses) {
  constexpr int kConfigs = 25;
  std::mt19937 random(5);
  int held = 0;
  for (const LayerGraph* graph : Networks()) {
    std::set<std::string> ids;
    for (const Layer& layer : graph->layers()) ids.insert(layer.id);
    for (int i = 0; i < kConfigs; ++i) {
      // From holdable to anything at all, in quality and in quantity.
      SampleRange range = HoldableRange(GetParam());
      const SampleRange any = HoldableRange("json");
      if (random() % 2 == 0) range.weights.push_back(any.weights[random() % any.weights.size()]);
      if (random() % 2 == 0) {
        range.activations.push_back(any.activations[random() % any.activations.size()]);
      }
      range.symmetric_weights = random() % 3 != 0;
      range.per_channel = random() % 3 != 0;
      range.from_zero = random() % 2 == 0;
      range.quantizers = random() % 4 != 0;
      const ConfigDocument before = RandomConfig(*graph, range, random);
      try {
        const ConfigDocument after = RoundTrip(GetParam(), before, *graph);
        ++held;
        ASSERT_EQ(Difference(before, after, format().holds_quantizers && range.quantizers), "")
            << "configuration " << i;
      } catch (const ErrorList& list) {
        for (const Error& error : list.errors()) {
          ASSERT_EQ(error.id(), ErrorId::kExportRefused) << error.what();
          ASSERT_TRUE(ids.contains(error.key())) << error.what();
          ASSERT_FALSE(error.hint().empty()) << error.what();
        }
      }
    }
  }
  EXPECT_GT(held, 0);
}

TEST_P(FormatRoundTripTest, UniformConfigurations) {
  for (const LayerGraph* graph : Networks()) {
    for (const int bits : {8, 4}) {
      std::mt19937 random(bits);
      SampleRange range = HoldableRange(GetParam());
      range.weights = {NumberFormat::Integer(bits)};
      range.activations = {GetParam() == "torchao" ? NumberFormat::Float32()
                                                   : NumberFormat::Integer(8)};
      const ConfigDocument before = RandomConfig(*graph, range, random);
      const ConfigDocument after = RoundTrip(GetParam(), before, *graph);
      EXPECT_EQ(Difference(before, after, format().holds_quantizers), "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, FormatRoundTripTest, testing::ValuesIn(Names()),
                         [](const auto& test) { return test.param; });

// Scales and zero points survive a journey through every file that holds them.
TEST(FormatConversionTest, FromToolToTool) {
  std::mt19937 random(3);
  for (const LayerGraph* graph : Networks()) {
    SampleRange range = HoldableRange("ort");
    range.activations = {NumberFormat::Integer(8), NumberFormat::Float32()};
    const ConfigDocument before = RandomConfig(*graph, range, random);
    ConfigDocument at = before;
    for (const char* format : {"aimet", "aimet2", "json", "ort", "aimet2", "aimet", "json"}) {
      at = RoundTrip(format, at, *graph);
      ASSERT_EQ(Difference(before, at, true), "") << format;
    }
  }
}

}  // namespace
}  // namespace bitsearch
