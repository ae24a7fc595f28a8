#include "experiments/tensor_files.h"

#include <charconv>
#include <cstring>

#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/npy.h"

namespace bitsearch {

Shape ParseShape(const std::string& text) {
  Shape shape;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::int64_t extent = 0;
    const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + end, extent);
    if (error != std::errc() || stop != text.data() + end || extent < 1) {
      throw Error(ErrorId::kUsage, "'" + text + "' is no shape")
          .Key("--shape")
          .Hint("write extents with commas: 1,3,48,160");
    }
    shape.push_back(extent);
    begin = end + 1;
  }
  return shape;
}

FloatTensor ReadTensorFile(const std::filesystem::path& path, const std::string& shape) {
  const std::vector<std::byte> bytes = ReadBinaryFile(path);
  FloatTensor tensor;
  if (path.extension() == ".npy") {
    const NpyArray array = ParseNpy(bytes, path.string());
    tensor.shape = array.shape;
    tensor.values.assign(array.values.begin(), array.values.end());
  } else {
    if (shape.empty()) {
      throw Error(ErrorId::kUsage, "a raw file needs its shape")
          .At({path.string()})
          .Hint("add --shape 1,3,48,160 (as the data lie), or give a .npy file");
    }
    tensor.shape = ParseShape(shape);
    tensor.values.resize(bytes.size() / sizeof(float));
    std::memcpy(tensor.values.data(), bytes.data(), tensor.values.size() * sizeof(float));
    if (bytes.size() % sizeof(float) != 0 ||
        ElementCount(tensor.shape) != static_cast<std::int64_t>(tensor.values.size())) {
      throw Error(ErrorId::kArrayFormat, std::to_string(bytes.size()) +
                                             " bytes are not float32 values of shape " +
                                             ToString(tensor.shape))
          .At({path.string()})
          .Hint("check --shape; 4 bytes a value, no header");
    }
    return tensor;
  }
  if (!shape.empty() && ParseShape(shape) != tensor.shape) {
    throw Error(ErrorId::kArrayFormat,
                "has shape " + ToString(tensor.shape) + ", --shape says " + shape)
        .At({path.string()})
        .Hint("leave --shape out: a .npy file knows its own");
  }
  return tensor;
}

std::vector<float> ReadExpectedValues(const std::filesystem::path& path, std::size_t count) {
  std::vector<float> values;
  if (path.extension() == ".npy") {
    const NpyArray array = ParseNpy(ReadBinaryFile(path), path.string());
    values.assign(array.values.begin(), array.values.end());
  } else {
    const std::vector<std::byte> bytes = ReadBinaryFile(path);
    values.resize(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  }
  if (values.size() != count) {
    throw Error(ErrorId::kArrayFormat, "holds " + std::to_string(values.size()) +
                                           " values, the network's output has " +
                                           std::to_string(count))
        .At({path.string()})
        .Hint("is it the output for another input or another network?");
  }
  return values;
}

}  // namespace bitsearch
