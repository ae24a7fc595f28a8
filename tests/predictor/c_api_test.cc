// The C interface inside the build tree: results equal the C++ predictor's, failures leave outputs
// alone and say why per thread, and one handle serves many threads.
#include <bitsearch/predictor.h>
#include <gtest/gtest.h>

#include <bitsearch/predictor.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "predictor/predictor_file.h"
#include "tests/predictor/fixed_network_model.h"

namespace bitsearch {
namespace {

class CApiTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string bytes = SerializePredictor(model_);
    ASSERT_EQ(bitsearch_predictor_open_memory(bytes.data(), bytes.size(), &handle_), BITSEARCH_OK)
        << bitsearch_last_error();
  }
  void TearDown() override { bitsearch_predictor_close(handle_); }

  PredictorModel model_ = FixedNetworkModel();
  bitsearch_predictor* handle_ = nullptr;
};

TEST_F(CApiTest, DescribesGenesValuesAndCosts) {
  EXPECT_EQ(bitsearch_api_version(), static_cast<std::uint32_t>(BITSEARCH_PREDICTOR_API_VERSION));
  ASSERT_EQ(bitsearch_predictor_gene_count(handle_), 40U);
  EXPECT_STREQ(bitsearch_predictor_gene_name(handle_, 3), "layer1.activation_bits");
  EXPECT_EQ(bitsearch_predictor_value_count(handle_, 2), 3U);
  EXPECT_STREQ(bitsearch_predictor_value_text(handle_, 2, 1), "4");
  EXPECT_EQ(bitsearch_predictor_cost_count(handle_), 2U);
  EXPECT_STREQ(bitsearch_predictor_cost_name(handle_, 0), "latency_us");
  EXPECT_EQ(bitsearch_predictor_gene_name(handle_, 40), nullptr);
  EXPECT_EQ(bitsearch_predictor_value_text(handle_, 2, 3), nullptr);
  EXPECT_EQ(bitsearch_predictor_cost_name(handle_, 2), nullptr);
  EXPECT_EQ(bitsearch_predictor_gene_count(nullptr), 0U);
  std::size_t needed = 0;
  char small[4] = {'x', 'x', 'x', 'x'};
  EXPECT_EQ(bitsearch_predictor_describe(handle_, small, sizeof small, &needed),
            BITSEARCH_BUFFER_TOO_SMALL);
  EXPECT_EQ(small[0], 'x');
  std::string text(needed, '\0');
  ASSERT_EQ(bitsearch_predictor_describe(handle_, text.data(), needed, nullptr), BITSEARCH_OK);
  text.resize(needed - 1);
  EXPECT_EQ(text, DescribePredictor(model_));
}

TEST_F(CApiTest, PredictionsAreThoseOfThePredictor) {
  const Predictor predictor(model_);
  constexpr std::size_t kRows = 257;
  const std::vector<std::uint8_t> rows = RandomGenomes(predictor.space(), kRows, 3);
  const GenomeView view{rows.data(), kRows, 40};
  std::vector<CandidateScore> scores(kRows);
  predictor.Predict(view, scores);
  std::vector<double> mean(kRows), deviation(kRows), costs(2 * kRows);
  std::vector<std::uint8_t> outside(kRows);
  ASSERT_EQ(bitsearch_predictor_predict(handle_, rows.data(), kRows, mean.data(), deviation.data(),
                                        costs.data(), outside.data()),
            BITSEARCH_OK);
  std::vector<std::int64_t> latency(kRows);
  model_.costs[0].Evaluate(view, latency);
  std::size_t forbidden = 0;
  for (std::size_t r = 0; r < kRows; ++r) {
    EXPECT_EQ(mean[r], scores[r].top1_percent);
    EXPECT_EQ(deviation[r], scores[r].standard_deviation_percent);
    EXPECT_EQ(outside[r] != 0, predictor.OutsideTrainingRange(view.row(r)));
    if (latency[r] >= FactoredCost::kForbidden) {
      EXPECT_TRUE(std::isinf(costs[2 * r]));
      ++forbidden;
    } else {
      EXPECT_EQ(costs[2 * r], model_.costs[0].FromGrid(latency[r]));
    }
  }
  EXPECT_GT(forbidden, 10U);
  // Outputs that nobody wants may be null.
  std::vector<double> again(kRows);
  ASSERT_EQ(bitsearch_predictor_predict(handle_, rows.data(), kRows, again.data(), nullptr, nullptr,
                                        nullptr),
            BITSEARCH_OK);
  EXPECT_EQ(again, mean);
}

TEST_F(CApiTest, FailuresWriteNothingAndSayWhy) {
  std::vector<std::uint8_t> rows(80, 0);
  rows[45] = 9;
  double mean[2] = {-1.0, -1.0};
  EXPECT_EQ(bitsearch_predictor_predict(handle_, rows.data(), 2, mean, nullptr, nullptr, nullptr),
            BITSEARCH_BAD_CANDIDATE);
  EXPECT_EQ(mean[0], -1.0);
  EXPECT_NE(std::string(bitsearch_last_error()).find("layer2.activation_bits"), std::string::npos);
  EXPECT_EQ(bitsearch_predictor_predict(nullptr, rows.data(), 1, mean, nullptr, nullptr, nullptr),
            BITSEARCH_INVALID_ARGUMENT);
  bitsearch_predictor* none = handle_;
  EXPECT_EQ(bitsearch_predictor_open("/no/such/file.bspred", &none), BITSEARCH_FILE_NOT_FOUND);
  EXPECT_EQ(none, nullptr);
  std::string bytes = SerializePredictor(model_);
  bytes[100] ^= 1;
  EXPECT_EQ(bitsearch_predictor_open_memory(bytes.data(), bytes.size(), &none), BITSEARCH_BAD_FILE);
  EXPECT_EQ(bitsearch_predictor_open_memory("x", 1, &none), BITSEARCH_BAD_FILE);
  EXPECT_STREQ(bitsearch_status_name(BITSEARCH_BAD_FILE), "bad_file");

  const char* names[] = {"layer0.weight_bit"};
  const char* values[] = {"4"};
  std::uint8_t row[40] = {7};
  EXPECT_EQ(bitsearch_predictor_parse(handle_, names, values, 1, row), BITSEARCH_BAD_CANDIDATE);
  EXPECT_EQ(row[0], 7);
  const std::string message = bitsearch_last_error();
  EXPECT_NE(message.find("did you mean \"layer0.weight_bits\""), std::string::npos) << message;
  std::thread([] { EXPECT_STREQ(bitsearch_last_error(), ""); }).join();
}

TEST_F(CApiTest, OneHandleServesManyThreads) {
  const Predictor predictor(model_);
  constexpr std::size_t kRows = 64;
  const std::vector<std::uint8_t> rows = RandomGenomes(predictor.space(), kRows, 5);
  std::vector<double> expected(kRows);
  ASSERT_EQ(bitsearch_predictor_predict(handle_, rows.data(), kRows, expected.data(), nullptr,
                                        nullptr, nullptr),
            BITSEARCH_OK);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<double> mean(kRows);
      for (int i = 0; i < 50; ++i) {
        const std::size_t count = 1 + static_cast<std::size_t>(t * 13 + i) % kRows;
        ASSERT_EQ(bitsearch_predictor_predict(handle_, rows.data(), count, mean.data(), nullptr,
                                              nullptr, nullptr),
                  BITSEARCH_OK);
        for (std::size_t r = 0; r < count; ++r) ASSERT_EQ(mean[r], expected[r]);
      }
    });
  }
}

TEST_F(CApiTest, TheCppFaceParsesAndThrows) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / "c_api_test.bspred";
  WritePredictor(path, model_);
  client::Predictor predictor(path.string());
  const client::Predictor moved = std::move(predictor);
  std::vector<std::pair<std::string, std::string>> named;
  for (std::size_t g = 0; g < moved.gene_count(); ++g) {
    named.emplace_back(moved.gene_name(g), moved.values(g).back());
  }
  const client::Predictions one = moved.Predict(moved.Parse(named));
  EXPECT_EQ(one.costs.size(), 2U);
  EXPECT_TRUE(nlohmann::json::parse(moved.description()).contains("space"));
  named.pop_back();
  try {
    moved.Parse(named);
    FAIL();
  } catch (const client::Error& error) {
    EXPECT_EQ(error.status(), BITSEARCH_BAD_CANDIDATE);
    EXPECT_NE(std::string(error.what()).find("layer19.activation_bits"), std::string::npos);
  }
  EXPECT_THROW(client::Predictor("/no/such/file"), client::Error);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace bitsearch
