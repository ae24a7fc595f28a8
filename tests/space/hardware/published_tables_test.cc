// The published tables beside the project, where they are: sizes and ratios that their papers and
// code give.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "space/hardware/importers.h"
#include "space/hardware/layer_signature.h"
#include "space/hardware/network_latency.h"
#include "space/support/error.h"
#include "tests/space/hardware/scratch_folder.h"

namespace bitsearch {
namespace {

BitChoice Bits(int weight, int activation) {
  return {NumberFormat::Integer(weight), NumberFormat::Integer(activation)};
}

std::filesystem::path Shared(const std::string& name) {
  return std::filesystem::path(BITSEARCH_SHARED_DATA) / name;
}

TEST(PublishedTables, ApqOnBitFusion) {
  const std::filesystem::path path = Shared("apq/apq_bitfusion_lut.json");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const ImportedCosts imported = ImportApq(path.string());
  const LatencyTable& table = imported.profile.table;
  EXPECT_EQ(table.rows().size(), 6567u);
  EXPECT_EQ(imported.energy.rows.size(), 6567u);
  EXPECT_EQ(table.keys().size(), 779u);
  double pointwise = 0.0, depthwise = 0.0;
  int pointwise_count = 0, depthwise_count = 0;
  std::string wide_kernel;
  for (const std::string& key : table.keys()) {
    const LayerSignature signature = LayerSignature::Parse(key).value();
    const double ratio = static_cast<double>(table.Find(key, Bits(6, 6))->latency_ns) /
                         static_cast<double>(table.Find(key, Bits(8, 8))->latency_ns);
    (signature.is_depthwise() ? depthwise : pointwise) += ratio;
    ++(signature.is_depthwise() ? depthwise_count : pointwise_count);
    if (signature.is_depthwise() && signature.kernel[0] == 7) wide_kernel = key;
  }
  EXPECT_NEAR(pointwise / pointwise_count, 0.914, 0.0005);
  EXPECT_NEAR(depthwise / depthwise_count, 0.986, 0.0005);
  // Kernel 7 has no entry at 4-bit activations: an error that names the layer, not an invention.
  ASSERT_NE(wide_kernel, "");
  try {
    table.Require({"blocks.3.depth_conv", wide_kernel}, Bits(4, 4), MissingPolicy::kInterpolate);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kLatencyMissing);
    EXPECT_EQ(error.key(), "blocks.3.depth_conv");
    EXPECT_THAT(error.what(), ::testing::HasSubstr("activation bits 4"));
  }
}

TEST(PublishedTables, HaqPolicyCosts) {
  const std::filesystem::path path = Shared("apq/haq_mobilenetv2_lut.json");
  const std::filesystem::path policies = Shared("apq/haq_policies.json");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const nlohmann::json source = nlohmann::json::parse(std::ifstream(path));
  const nlohmann::json policy = nlohmann::json::parse(std::ifstream(policies))["policies"][0];
  // The table's transcription, written as the .npy that HAQ ships.
  std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': (53, 8, 8), }";
  header.resize(117, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size());
  file += '\0';
  file += header;
  for (const auto& layer : source["table"]) {
    for (const auto& row : layer) {
      for (const std::int64_t value : row) {
        file.append(reinterpret_cast<const char*>(&value), sizeof(value));
      }
    }
  }
  const TestFolder folder;
  const LatencyTable table = ImportHaq(folder.Write("haq.npy", file), {}).table;
  EXPECT_EQ(table.rows().size(), 53u * 64u);
  std::vector<LayerKey> layers;
  BitConfig config;
  for (const auto& bits : policy["bits_weight_activation_per_layer"]) {
    layers.push_back({"layer" + std::to_string(layers.size()), ""});
    const int activation = bits[1].get<int>();
    config.choices.push_back(Bits(bits[0].get<int>(), activation < 0 ? 8 : activation));
  }
  ASSERT_EQ(layers.size(), 53u);
  const std::int64_t all_8 =
      PredictLatency(table, layers, BitConfig::Uniform(53, Bits(8, 8))).total_ns();
  EXPECT_EQ(all_8, source["all_8bit_sum"].get<std::int64_t>());
  EXPECT_NEAR(static_cast<double>(PredictLatency(table, layers, config).total_ns()) /
                  static_cast<double>(all_8),
              0.5965, 0.00005);
}

}  // namespace
}  // namespace bitsearch
