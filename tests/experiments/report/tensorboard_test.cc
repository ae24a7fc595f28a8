// Event files, read back record by record as TensorBoard does.
#include "experiments/report/tensorboard.h"

#include <bit>
#include <cstring>

#include "gtest/gtest.h"
#include "tests/experiments/report/synthetic_run.h"

namespace bitsearch {
namespace {

std::uint64_t LittleEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = (value << 8U) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

std::uint64_t Unmasked(std::uint64_t masked) {
  const auto rotated = static_cast<std::uint32_t>(masked - 0xa282ead8U);
  return (rotated >> 17U) | (rotated << 15U);
}

/// The records' data; checks lengths and both CRCs of each.
std::vector<std::string> RecordsOf(std::string_view file) {
  std::vector<std::string> records;
  while (!file.empty()) {
    const std::uint64_t length = LittleEndian(file.substr(0, 8));
    EXPECT_EQ(Unmasked(LittleEndian(file.substr(8, 4))) & 0xffffffffU, Crc32c(file.substr(0, 8)));
    records.emplace_back(file.substr(12, length));
    EXPECT_EQ(Unmasked(LittleEndian(file.substr(12 + length, 4))) & 0xffffffffU,
              Crc32c(records.back()));
    file.remove_prefix(16 + length);
  }
  return records;
}

TEST(TensorboardTest, TheChecksumIsCastagnolis) {
  // RFC 3720, B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43U);
}

TEST(TensorboardTest, AScalarIsAnEventOfOneSummaryValue) {
  const std::vector<std::string> records = RecordsOf(EventFile({{"loss", 300, 0.5}}, 2.0));
  ASSERT_EQ(records.size(), 2U);
  // wall_time = 2.0, file_version.
  EXPECT_EQ(records[0], std::string("\x09\0\0\0\0\0\0\0\x40\x1a\x0d", 11) + "brain.Event:2");
  // wall_time, step = 300, summary {value {tag "loss", simple_value 0.5}}.
  EXPECT_EQ(records[1],
            std::string("\x09\0\0\0\0\0\0\0\x40\x10\xac\x02\x2a\x0d\x0a\x0b\x0a\x04", 18) + "loss" +
                std::string("\x15\0\0\0\x3f", 5));
}

TEST(TensorboardTest, ARunsCurvesAreScalars) {
  const auto files = SyntheticArtifacts({});
  const std::vector<Scalar> scalars = ReportScalars(ReadReportData(SourceOf(files, "run")));
  const auto value = [&](const std::string& tag, std::int64_t step) {
    for (const Scalar& scalar : scalars) {
      if (scalar.tag == tag && scalar.step == step) return scalar.value;
    }
    return std::nan("");
  };
  EXPECT_DOUBLE_EQ(value("results/fast/ours/top1_percent", 0), 91.5);
  EXPECT_DOUBLE_EQ(value("sensitivity/W4A8", 2), 3e-3 / 256);
  EXPECT_DOUBLE_EQ(value("weight_bits/config_1", 1), 4.0);
}

}  // namespace
}  // namespace bitsearch
