// Round trips, migration, and damaged files: truncated at every offset, flipped bytes.
#include "predictor/predictor_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "space/support/error.h"
#include "space/support/hash.h"
#include "tests/predictor/small_models.h"

namespace bitsearch {
namespace {

PredictorModel Parse(const std::string& bytes) {
  return ParsePredictor(std::as_bytes(std::span(bytes)), "test.bspred");
}

/// The bytes with their digest made right again.
std::string Resealed(std::string bytes) {
  bytes.resize(bytes.size() - 32);
  const std::uint64_t size = bytes.size() + 32;
  std::memcpy(bytes.data() + 16, &size, sizeof size);
  const std::string hex = Sha256(bytes);
  for (std::size_t i = 0; i < 64; i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

TEST(PredictorFileTest, RoundTripKeepsEveryBit) {
  const PredictorModel model = SmallModel();
  const std::string bytes = SerializePredictor(model);
  const PredictorModel back = Parse(bytes);
  EXPECT_EQ(SerializePredictor(back), bytes);
  EXPECT_TRUE(back.encoding == model.encoding);
  EXPECT_TRUE(back.costs == model.costs);
  EXPECT_EQ(back.members[1].hidden[0].weights, model.members[1].hidden[0].weights);
  EXPECT_EQ(back.trained_values, model.trained_values);
  EXPECT_EQ(back.facts, model.facts);
}

TEST(PredictorFileTest, TruncatedAtEveryOffsetIsRefused) {
  const std::string bytes = SerializePredictor(SmallModel(1, 3));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    try {
      Parse(bytes.substr(0, size));
      FAIL() << "accepted " << size << " bytes of " << bytes.size();
    } catch (const Error& error) {
      ASSERT_EQ(error.id(), ErrorId::kPredictorFile) << size;
    }
  }
}

TEST(PredictorFileTest, AnyFlippedBitIsRefusedWithAClearError) {
  std::string bytes = SerializePredictor(SmallModel(1, 3));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      const char before = bytes[at];
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      try {
        Parse(bytes);
        FAIL() << "accepted with bit " << bit << " of byte " << at << " flipped";
      } catch (const Error& error) {
        ASSERT_TRUE(error.id() == ErrorId::kPredictorFile ||
                    error.id() == ErrorId::kPredictorVersion)
            << at << ": " << error.what();
        ASSERT_EQ(error.location().file, "test.bspred");
        ASSERT_FALSE(error.message().empty());
      }
      bytes[at] = before;
    }
  }
}

TEST(PredictorFileTest, AlteredContentUnderARightChecksumNeverDoesHarm) {
  // Somebody else's writer may seal nonsense: every byte of the header replaced in turn must give
  // either a model that predicts, or an Error.
  const std::string bytes = SerializePredictor(SmallModel(1, 3));
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data() + 24, 8);
  std::size_t accepted = 0;
  for (std::size_t at = 8; at < 32 + header_size; ++at) {
    if (at >= 16 && at < 24) continue;  // Resealed sets the size.
    for (const char replacement : {'9', '"', '-', ']', '\xff', '\0'}) {
      std::string altered = bytes;
      altered[at] = replacement;
      try {
        const Predictor predictor(Parse(Resealed(altered)));
        const std::vector<std::uint8_t> genomes = RandomGenomes(predictor.space(), 3, 1);
        std::vector<CandidateScore> scores(3);
        predictor.Predict({genomes.data(), 3, predictor.space().size()}, scores);
        ++accepted;
      } catch (const Error&) {
      }
    }
  }
  EXPECT_GT(accepted, 0U);  // A letter of a name may change.
}

TEST(PredictorFileTest, BytesBehindTheEndAreRefused) {
  std::string bytes = SerializePredictor(SmallModel(1, 3));
  EXPECT_THROW(Parse(bytes + '\0'), Error);
  EXPECT_THROW(Parse(bytes + bytes), Error);
  EXPECT_THROW(Parse(""), Error);
}

TEST(PredictorFileTest, EqualModelsGiveEqualBytes) {
  EXPECT_EQ(SerializePredictor(SmallModel()), SerializePredictor(SmallModel()));
}

TEST(PredictorFileTest, TheDescriptionSaysFeaturesLayersTablesAndRange) {
  const auto text = nlohmann::json::parse(DescribePredictor(SmallModel()));
  EXPECT_EQ(text.at("space").at("genes").at(1).at("values").size(), 3U);
  EXPECT_EQ(text.at("encoding").at("bits_features").at(0), "block0.weight_bits=2");
  EXPECT_EQ(text.at("layers").at(0).at("outputs"), 37);
  EXPECT_EQ(text.at("cost_table_sha256").get<std::string>().size(), 64U);
  EXPECT_EQ(text.at("training").at("range").at("block0.kernel").size(), 2U);
  EXPECT_EQ(text.at("members"), 2);
}

TEST(PredictorFileTest, NewerVersionsAreRefusedInPlainWords) {
  std::string bytes = SerializePredictor(SmallModel());
  bytes[8] = 77;
  try {
    Parse(Resealed(bytes));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kPredictorVersion);
    EXPECT_NE(std::string(error.what()).find("version 77"), std::string::npos);
  }
}

TEST(PredictorFileTest, VersionOneIsMigrated) {
  PredictorModel model = SmallModel(1);
  model.costs.clear();
  const std::string bytes = SerializePredictor(model);
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data() + 24, 8);
  auto header = nlohmann::ordered_json::parse(bytes.substr(32, header_size));
  header["network"] = header["members"][0];
  header.erase("members");
  header.erase("costs");
  header.erase("cost_table_sha256");
  header["output"].erase("residual_deviation");
  const std::string text = header.dump();
  const auto aligned = [](std::size_t size) { return (size + 63) / 64 * 64; };
  std::string old = bytes.substr(0, 32) + text;
  old.resize(aligned(old.size()), '\0');
  old += bytes.substr(aligned(32 + header_size));
  old[8] = 1;
  const std::uint64_t size = text.size();
  std::memcpy(old.data() + 24, &size, 8);
  EXPECT_EQ(SerializePredictor(Parse(Resealed(old))), bytes);
}

}  // namespace
}  // namespace bitsearch
