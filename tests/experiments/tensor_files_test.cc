#include "experiments/tensor_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "space/support/error.h"
#include "space/support/npy.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

std::string Npy(const std::string& type, const std::string& shape, const std::string& data,
                const std::string& order = "False") {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': (" + shape + "), }";
  header.resize(std::max<std::size_t>(header.size(), 117), ' ');
  header += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += '\x01';
  bytes += '\0';
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

std::string Raw(const std::vector<float>& values) {
  std::string bytes(values.size() * 4, '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::span<const std::byte> Bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(NpyTest, ReadsFloatsAndIntegers) {
  const std::string floats = Npy("<f4", "2, 2", Raw({1, 2, 3, -4.5F}));
  const NpyArray array = ParseNpy(Bytes(floats), "a.npy");
  EXPECT_EQ(array.shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(array.values, (std::vector<double>{1, 2, 3, -4.5}));
  const std::string bytes = Npy("|u1", "3,", std::string("\x01\x02\xff", 3));
  EXPECT_EQ(ParseNpy(Bytes(bytes), "b.npy").values, (std::vector<double>{1, 2, 255}));
}

TEST(NpyTest, TruncatedAtEveryOffsetIsAnError) {
  const std::string whole = Npy("<f4", "2, 2", Raw({1, 2, 3, 4}));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string part = whole.substr(0, length);
    EXPECT_THROW(ParseNpy(Bytes(part), "a.npy"), Error) << length;
  }
  EXPECT_THROW(ParseNpy(Bytes(Npy("<f4", "999999999999999", "abcd")), "a.npy"), Error);
  EXPECT_THROW(ParseNpy(Bytes(Npy("<c8", "1", "abcdefgh")), "a.npy"), Error);
  EXPECT_THROW(ParseNpy(Bytes(Npy("<f4", "1", "abcd", "True")), "a.npy"), Error);
}

TEST(TensorFilesTest, RawFilesNeedTheirShape) {
  const fs::path path = fs::path(testing::TempDir()) / "tensor_files_test.f32";
  std::ofstream(path, std::ios::binary) << Raw({1, 2, 3, 4, 5, 6});
  EXPECT_THROW(ReadTensorFile(path, ""), Error);
  EXPECT_THROW(ReadTensorFile(path, "2,4"), Error);
  EXPECT_THROW(ReadTensorFile(path, "2,x"), Error);
  EXPECT_THROW(ReadTensorFile(path, "2,,3"), Error);
  const FloatTensor tensor = ReadTensorFile(path, "1,2,3");
  EXPECT_EQ(tensor.shape, (Shape{1, 2, 3}));
  EXPECT_EQ(tensor.values[5], 6.0F);
  EXPECT_EQ(ReadExpectedValues(path, 6).size(), 6U);
  EXPECT_THROW(ReadExpectedValues(path, 5), Error);
  fs::remove(path);
}

}  // namespace
}  // namespace bitsearch
