#include "space/network/npy_records.h"

#include <cmath>
#include <cstdint>
#include <string>

#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/npy.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

// More classes than any network has; a larger number is no label.
constexpr double kLargestLabel = 1 << 24;

std::string ShapeText(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape)
    text += (text.empty() ? "" : "×") + std::to_string(extent);
  return text.empty() ? "of a single number" : text;
}

NpyArray Read(const fs::path& path) { return ParseNpy(ReadBinaryFile(path), path.string()); }

std::vector<std::int32_t> ReadLabels(const fs::path& path, std::int64_t records) {
  const NpyArray array = Read(path);
  if (array.shape.size() != 1) {
    throw Error(ErrorId::kDataFormat,
                "labels have one dimension, the array is " + ShapeText(array.shape))
        .At({path.string()})
        .Hint("give npy:X,Y in this order; Y holds one class per record, not one-hot rows");
  }
  if (!array.is_integer) {
    throw Error(ErrorId::kDataLabel, "labels are integers, the array holds floats")
        .At({path.string()})
        .Hint("save it with .astype(numpy.int64)");
  }
  if (array.shape[0] != records) {
    throw Error(ErrorId::kDataCount, std::to_string(records) + " records but " +
                                         std::to_string(array.shape[0]) + " labels")
        .At({path.string()})
        .Hint("records and labels must come from the same set");
  }
  std::vector<std::int32_t> labels;
  for (const double value : array.values) {
    if (value < 0.0 || value > kLargestLabel) {
      throw Error(ErrorId::kDataLabel, "label " + std::to_string(static_cast<std::int64_t>(value)) +
                                           " of record " + std::to_string(labels.size()) +
                                           " is not a class")
          .At({path.string()})
          .Hint("classes count from 0");
    }
    labels.push_back(static_cast<std::int32_t>(value));
  }
  return labels;
}

}  // namespace

DataRecords ReadNpyRecords(const std::vector<fs::path>& paths) {
  const NpyArray array = Read(paths[0]);
  if (array.shape.size() < 2 || array.values.empty()) {
    throw Error(ErrorId::kDataFormat,
                "records have a dimension that counts them and at least one more, and are not "
                "empty; the array is " +
                    ShapeText(array.shape))
        .At({paths[0].string()})
        .Hint("save N×C×H×W, or N×features");
  }
  DataRecords records;
  records.shape.assign(array.shape.begin() + 1, array.shape.end());
  if (array.is_byte) {
    records.bytes.assign(array.values.begin(), array.values.end());
  } else {
    records.floats.reserve(array.values.size());
    const std::size_t per_record = array.values.size() / static_cast<std::size_t>(array.shape[0]);
    for (const double value : array.values) {
      const auto narrow = static_cast<float>(value);
      if (!std::isfinite(narrow)) {
        throw Error(ErrorId::kDataFormat,
                    "record " + std::to_string(records.floats.size() / per_record) + " holds " +
                        std::to_string(value) + ", which is no finite float32")
            .At({paths[0].string()})
            .Hint("remove such records, or replace the values");
      }
      records.floats.push_back(narrow);
    }
  }
  if (paths.size() > 1) records.labels = ReadLabels(paths[1], array.shape[0]);
  return records;
}

}  // namespace bitsearch
