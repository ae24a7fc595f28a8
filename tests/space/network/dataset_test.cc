#include "space/network/dataset.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "space/network/builtin.h"
#include "space/network/data_fit.h"
#include "space/support/error.h"
#include "tests/space/network/npy_text.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

class DatasetTest : public testing::Test {
 protected:
  DatasetTest() {
    folder_ =
        fs::path(testing::TempDir()) /
        ("dataset_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::create_directories(folder_);
  }
  ~DatasetTest() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& bytes, bool gzip = false) {
    const fs::path path = folder_ / name;
    if (gzip) {
      gzFile file = gzopen(path.c_str(), "wb");
      gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
      gzclose(file);
    } else {
      std::ofstream(path, std::ios::binary) << bytes;
    }
    return path.string();
  }

  static std::string IdxHeader(const std::vector<std::uint32_t>& extents) {
    std::string header{'\0', '\0', '\x08', static_cast<char>(extents.size())};
    for (const std::uint32_t extent : extents) {
      for (int shift = 24; shift >= 0; shift -= 8) header += static_cast<char>(extent >> shift);
    }
    return header;
  }

  static ErrorId IdOf(const std::string& spec) {
    try {
      Dataset::Load(DataSpec::Parse(spec));
    } catch (const Error& error) {
      return error.id();
    }
    return ErrorId::kInternal;
  }

  fs::path folder_;
};

TEST_F(DatasetTest, ReadsPlainAndGzippedIdxAlike) {
  const std::string images =
      IdxHeader({2, 2, 3}) + std::string("\x00\x33\x66\x99\xcc\xff\x01\x02\x03\x04\x05\x06", 12);
  const std::string labels = IdxHeader({2}) + std::string("\x07\x01", 2);
  const Dataset plain =
      Dataset::Load(DataSpec::Parse("idx:" + Write("i", images) + "," + Write("l", labels)));
  const Dataset zipped = Dataset::Load(
      DataSpec::Parse("idx:" + Write("i.gz", images, true) + "," + Write("l.gz", labels, true)));
  for (const Dataset* data : {&plain, &zipped}) {
    ASSERT_EQ(data->size(), 2);
    EXPECT_EQ(data->channels(), 1);
    EXPECT_EQ(data->height(), 2);
    EXPECT_EQ(data->width(), 3);
    EXPECT_EQ(data->labels()[0], 7);
    std::array<float, 6> pixels{};
    data->CopyNormalised(0, pixels.data());
    EXPECT_FLOAT_EQ(pixels[1], 0.2F);
    EXPECT_FLOAT_EQ(pixels[5], 1.0F);
  }
}

TEST_F(DatasetTest, TruncationAtEveryOffsetIsAnErrorNotACrash) {
  const std::string images = IdxHeader({2, 2, 2}) + std::string(8, 'x');
  const std::string labels = Write("l", IdxHeader({2}) + std::string("\x01\x02", 2));
  for (std::size_t length = 0; length < images.size(); ++length) {
    const std::string path = Write("i", images.substr(0, length));
    EXPECT_EQ(IdOf("idx:" + path + "," + labels), ErrorId::kDataTruncated) << length;
  }
}

TEST_F(DatasetTest, AHeaderThatClaimsTwoGigabytesAllocatesNothingNear) {
  const std::string images = Write("i", IdxHeader({2000000, 32, 32}) + "few bytes");
  const std::string labels = Write("l", IdxHeader({2}) + "ab");
  EXPECT_EQ(IdOf("idx:" + images + "," + labels), ErrorId::kDataTruncated);
}

TEST_F(DatasetTest, NamesWhatIsWrong) {
  const std::string images = Write("i", IdxHeader({2, 1, 1}) + "ab");
  const std::string one_label = Write("l1", IdxHeader({1}) + "a");
  EXPECT_EQ(IdOf("idx:" + images + "," + one_label), ErrorId::kDataCount);
  EXPECT_EQ(IdOf("idx:" + Write("m", "not an idx file") + "," + one_label), ErrorId::kDataFormat);
  EXPECT_EQ(IdOf("idx:/nowhere," + one_label), ErrorId::kFileNotFound);
  EXPECT_EQ(IdOf("cifar10:" + Write("c", std::string(3072, '\0'))), ErrorId::kDataTruncated);
  std::string record(3073, '\0');
  record[0] = 12;
  EXPECT_EQ(IdOf("cifar10:" + Write("d", record)), ErrorId::kDataLabel);
  EXPECT_EQ(IdOf("cifar100:x"), ErrorId::kDataSpec);
  EXPECT_EQ(IdOf("idx:only-images"), ErrorId::kDataSpec);
  EXPECT_EQ(IdOf("no-colon"), ErrorId::kDataSpec);
  EXPECT_EQ(IdOf("cifar10:a,,b"), ErrorId::kDataSpec);
}

TEST_F(DatasetTest, SamplesKeepsThePrefixAndRefusesMoreThanThereIs) {
  std::string records(3073 * 3, '\0');
  records[3073] = 1;
  records[2 * 3073] = 2;
  DataSpec spec = DataSpec::Parse("cifar10:" + Write("c", records));
  spec.first = 1;
  spec.samples = 2;
  const Dataset data = Dataset::Load(spec);
  ASSERT_EQ(data.size(), 2);
  EXPECT_EQ(data.labels()[0], 1);
  spec.samples = 3;
  EXPECT_THROW(Dataset::Load(spec), Error);
  spec.samples = 2;
  spec.mean = {0.1F, 0.2F};
  EXPECT_THROW(Dataset::Load(spec), Error);
}

TEST(DatasetAugmentTest, ShiftsAndMirrors) {
  const Dataset data(1, 2, 3, 10, {10, 20, 30, 40, 50, 60}, {0}, {0.0F}, {1.0F});
  std::array<float, 6> out{};
  data.CopyAugmented(0, 0, 0, true, out.data());
  EXPECT_FLOAT_EQ(out[0], 30.0F / 255);
  EXPECT_FLOAT_EQ(out[5], 40.0F / 255);
  data.CopyAugmented(0, 1, 1, false, out.data());
  EXPECT_FLOAT_EQ(out[0], 50.0F / 255);
  EXPECT_FLOAT_EQ(out[1], 60.0F / 255);
  EXPECT_FLOAT_EQ(out[2], 0.0F);
  EXPECT_FLOAT_EQ(out[3], 0.0F);
}

TEST(DataFitTest, RefusesOtherImagesAndLabelsBeyondTheOutputs) {
  const LayerGraph graph = BuildResNet(8, {3, 2, 2, 5}, 1);
  const auto data = [](std::int64_t channels, std::uint8_t label) {
    return Dataset(channels, 2, 2, 10, std::vector<std::uint8_t>(channels * 4), {label}, {0.0F},
                   {1.0F});
  };
  const auto id_of = [&](const Dataset& set) {
    try {
      RequireFit(graph, set);
    } catch (const Error& error) {
      return error.id();
    }
    return ErrorId::kInternal;
  };
  EXPECT_NO_THROW(RequireFit(graph, data(3, 4)));
  EXPECT_EQ(id_of(data(3, 5)), ErrorId::kDataLabel);
  EXPECT_EQ(id_of(data(1, 4)), ErrorId::kDataFormat);
}

TEST(DatasetSharedDataTest, CifarPrefixesAreBalanced) {
  const fs::path path = fs::path(BITSEARCH_SHARED_DATA) / "cifar10" / "test_batch.bin";
  if (!fs::exists(path)) GTEST_SKIP() << "no shared data at " << path;
  const Dataset data = Dataset::Load(DataSpec::Parse("cifar10:" + path.string()));
  ASSERT_EQ(data.size(), 10000);
  std::array<int, 10> counts{};
  for (int i = 0; i < 50; ++i) ++counts[data.labels()[static_cast<std::size_t>(i)]];
  for (const int count : counts) EXPECT_EQ(count, 5);
}

TEST_F(DatasetTest, ReadsNumpyFloatsAsTheyAre) {
  std::vector<float> values(2 * 3 * 2 * 2);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) - 7.5F;
  const std::string x = Write("x.npy", Npy("<f4", "2, 3, 2, 2", values));
  const std::string y = Write("y.npy", Npy<std::int64_t>("<i8", "2,", {300, 1}));
  const Dataset labelled = Dataset::Load(DataSpec::Parse("npy:" + x + "," + y));
  ASSERT_EQ(labelled.size(), 2);
  EXPECT_EQ(labelled.shape(), (std::vector<std::int64_t>{3, 2, 2}));
  EXPECT_EQ(labelled.labels(), (std::vector<std::int32_t>{300, 1}));
  std::vector<float> record(12);
  labelled.CopyNormalised(1, record.data());
  EXPECT_EQ(record, std::vector<float>(values.begin() + 12, values.end()));
  // Part of the set is a set of the same kind.
  labelled.Slice(1, 1).CopyNormalised(0, record.data());
  EXPECT_EQ(record, std::vector<float>(values.begin() + 12, values.end()));
  EXPECT_EQ(labelled.Slice(1, 1).labels()[0], 1);
}

TEST_F(DatasetTest, NormalisesNumpyBytesAsImages) {
  const std::string x = Write("x.npy", Npy<std::uint8_t>("|u1", "1, 1, 1, 2", {0, 255}));
  DataSpec spec = DataSpec::Parse("npy:" + x);
  spec.mean = {0.5F};
  spec.std = {0.25F};
  std::vector<float> record(2);
  Dataset::Load(spec).CopyNormalised(0, record.data());
  EXPECT_EQ(record, (std::vector<float>{-2.0F, 2.0F}));
}

TEST_F(DatasetTest, NumpyWithoutLabelsSaysSoAndIsRefusedWhereTheyAreNeeded) {
  const std::string x = Write("x.npy", Npy<float>("<f4", "2, 3", {1, 2, 3, 4, 5, 6}));
  const Dataset data = Dataset::Load(DataSpec::Parse("npy:" + x));
  EXPECT_FALSE(data.labelled());
  EXPECT_EQ(data.size(), 2);
  EXPECT_FALSE(data.is_image());
  std::vector<float> record(3);
  data.CopyNormalised(1, record.data());
  EXPECT_EQ(record, (std::vector<float>{4, 5, 6}));
  try {
    data.RequireLabels();
    ADD_FAILURE() << "labels were not missed";
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kDataLabel);
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST_F(DatasetTest, RefusesNumpyFilesThatAreNoRecords) {
  const std::string x = Write("x.npy", Npy<float>("<f4", "2, 2", {1, 2, 3, 4}));
  const auto with = [&](const std::string& labels) {
    return IdOf("npy:" + x + "," + Write("y.npy", labels));
  };
  EXPECT_EQ(with(Npy<std::int64_t>("<i8", "3,", {0, 1, 2})), ErrorId::kDataCount);
  EXPECT_EQ(with(Npy<std::int64_t>("<i8", "2,", {0, -1})), ErrorId::kDataLabel);
  EXPECT_EQ(with(Npy<float>("<f4", "2,", {0, 1})), ErrorId::kDataLabel);
  EXPECT_EQ(with(Npy<std::int64_t>("<i8", "2, 1", {0, 1})), ErrorId::kDataFormat);
  EXPECT_EQ(IdOf("npy:" + Write("one.npy", Npy<float>("<f4", "2,", {1, 2}))), ErrorId::kDataFormat);
  const float nan = std::nanf("");
  EXPECT_EQ(IdOf("npy:" + Write("nan.npy", Npy<float>("<f4", "2, 1", {1, nan}))),
            ErrorId::kDataFormat);
  EXPECT_EQ(IdOf("npy:" + Write("text.npy", "no array")), ErrorId::kArrayFormat);
}

}  // namespace
}  // namespace bitsearch
