// Atomic writing, whole reading, name suggestions, SHA-256 test vectors.
#include "space/support/files.h"

#include <fstream>

#include "gtest/gtest.h"
#include "space/support/error.h"
#include "space/support/hash.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

class FilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("bitsearch_files_") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(FilesTest, WritesAndReadsBack) {
  const std::string content("a\0b\nc", 5);
  WriteFileAtomically(folder_ / "x", content);
  EXPECT_EQ(ReadTextFile(folder_ / "x"), content);
  EXPECT_EQ(ReadBinaryFile(folder_ / "x").size(), 5U);
  WriteFileAtomically(folder_ / "x", "");
  EXPECT_EQ(ReadTextFile(folder_ / "x"), "");
  // Nothing but the file is left.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(FilesTest, FailureLeavesNoTrace) {
  fs::create_directories(folder_ / "x" / "inside");
  EXPECT_THROW(WriteFileAtomically(folder_ / "x", "new"), Error);  // a folder is in the way
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
  EXPECT_THROW(WriteFileAtomically(folder_ / "none" / "y", "new"), Error);
}

TEST_F(FilesTest, LinksAndDevicesStayWhatTheyAre) {
  WriteFileAtomically(folder_ / "x", "old");
  fs::create_symlink("x", folder_ / "link");
  WriteFileAtomically(folder_ / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(ReadTextFile(folder_ / "x"), "new");
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  fs::create_symlink("/dev/null", folder_ / "nothing");
  WriteFileAtomically(folder_ / "nothing", "new");
  EXPECT_TRUE(fs::is_character_file(folder_ / "nothing"));
  fs::create_symlink("/dev/full", folder_ / "full");
  EXPECT_THROW(WriteFileAtomically(folder_ / "full", "new"), Error);
}

TEST_F(FilesTest, ReadingNothingNamesThePath) {
  for (const fs::path& path : {folder_ / "none", folder_}) {
    try {
      ReadTextFile(path);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.id(), ErrorId::kFileNotFound);
      EXPECT_EQ(error.location().file, path.string());
    }
    EXPECT_THROW(Sha256OfFile(path), Error);
  }
}

TEST_F(FilesTest, ReadsFilesWithoutASize) {
  // Files of /proc say size 0.
  if (!fs::exists("/proc/self/status")) GTEST_SKIP() << "no /proc here";
  EXPECT_NE(ReadTextFile("/proc/self/status").find("Name:"), std::string::npos);
}

TEST_F(FilesTest, HashesKnownVectors) {
  EXPECT_EQ(Sha256(std::string_view("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256(std::string_view("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string million(1000000, 'a');
  EXPECT_EQ(Sha256(std::string_view(million)),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  WriteFileAtomically(folder_ / "m", million);
  EXPECT_EQ(Sha256OfFile(folder_ / "m"), Sha256(std::string_view(million)));
}

TEST(NearestNameTest, FindsLikelySlipsOnly) {
  const std::vector<std::string> names = {"weight_bits", "activation_bits", "layer"};
  EXPECT_EQ(NearestName("weigth_bits", names), "weight_bits");
  EXPECT_EQ(NearestName("Layer", names), "layer");
  EXPECT_EQ(NearestName("layers", names), "layer");
  EXPECT_EQ(NearestName("activation", names), "activation_bits");
  EXPECT_EQ(NearestName("zebra", names), "");
  EXPECT_EQ(NearestName("x", {}), "");
}

}  // namespace
}  // namespace bitsearch
