#include "space/network/dataset.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "space/network/npy_records.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kCifarPixels = 3 * 32 * 32;
constexpr std::int64_t kCifarRecord = kCifarPixels + 1;
constexpr std::int64_t kMaxIdxElements = std::int64_t{1} << 32;

DataRecords ReadCifar10(const std::vector<std::filesystem::path>& paths) {
  DataRecords raw{{3, 32, 32}, {}, {}, {}};
  for (const auto& path : paths) {
    if (std::filesystem::is_character_file(path)) {
      throw Error(ErrorId::kDataFormat, "is a device, not a file")
          .At({path.string()})
          .Hint("name a CIFAR-10 binary batch");
    }
    const std::vector<std::byte> bytes = ReadBinaryFile(path);
    const auto size = static_cast<std::int64_t>(bytes.size());
    if (size == 0 || size % kCifarRecord != 0) {
      throw Error(ErrorId::kDataTruncated,
                  std::to_string(size) + " bytes are not a whole number of CIFAR-10 records of " +
                      std::to_string(kCifarRecord) + " bytes")
          .At({path.string()})
          .Hint("the file is truncated or not a CIFAR-10 binary batch; fetch it again");
    }
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    for (std::int64_t r = 0; r < size / kCifarRecord; ++r) {
      const std::uint8_t* record = data + r * kCifarRecord;
      if (record[0] > 9) {
        throw Error(ErrorId::kDataLabel, "label " + std::to_string(record[0]) + " of record " +
                                             std::to_string(r) + " is outside 0–9")
            .At({path.string()})
            .Hint("the file is not a CIFAR-10 binary batch (1 label byte, 3072 pixel bytes)");
      }
      raw.labels.push_back(record[0]);
      raw.bytes.insert(raw.bytes.end(), record + 1, record + kCifarRecord);
    }
  }
  return raw;
}

// Reads a plain or gzipped IDX file of unsigned bytes; zlib reads both alike.
std::vector<std::uint8_t> ReadIdx(const std::filesystem::path& path,
                                  std::vector<std::int64_t>* extents) {
  if (!std::filesystem::exists(path)) {
    throw Error(ErrorId::kFileNotFound, "no such file")
        .At({path.string()})
        .Hint("Debian's package dataset-fashion-mnist holds Fashion-MNIST");
  }
  const auto close = [](gzFile file) { gzclose(file); };
  std::unique_ptr<gzFile_s, decltype(close)> file(gzopen(path.c_str(), "rb"), close);
  if (!file) {
    throw Error(ErrorId::kFileNotFound, "cannot open the file")
        .At({path.string()})
        .Hint("check its permissions");
  }
  const auto truncated = [&path](const std::string& what) {
    return Error(ErrorId::kDataTruncated, what)
        .At({path.string()})
        .Hint("the file is truncated or damaged; fetch it again");
  };
  const auto read = [&](std::uint8_t* out, std::int64_t count) {
    std::int64_t done = 0;
    while (done < count) {
      const auto chunk = static_cast<unsigned>(std::min<std::int64_t>(count - done, 1 << 20));
      const int got = gzread(file.get(), out + done, chunk);
      if (got <= 0) break;
      done += got;
    }
    return done;
  };
  std::array<std::uint8_t, 4> magic{};
  if (read(magic.data(), 4) != 4) throw truncated("no IDX header");
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != 8 || magic[3] < 1 || magic[3] > 4) {
    throw Error(ErrorId::kDataFormat, "not an IDX file of unsigned bytes with 1–4 dimensions")
        .At({path.string()})
        .Hint("expected the bytes 00 00 08 <dimensions> at the start; MNIST's files have them");
  }
  std::int64_t elements = 1;
  for (int d = 0; d < magic[3]; ++d) {
    std::array<std::uint8_t, 4> word{};
    if (read(word.data(), 4) != 4) throw truncated("the IDX header ends early");
    const std::int64_t extent = (std::int64_t{word[0]} << 24) | (std::int64_t{word[1]} << 16) |
                                (std::int64_t{word[2]} << 8) | std::int64_t{word[3]};
    extents->push_back(extent);
    if (extent <= 0 || elements > kMaxIdxElements / extent) {
      throw Error(ErrorId::kDataFormat, "extent " + std::to_string(extent) + " of dimension " +
                                            std::to_string(d) + " is not plausible")
          .At({path.string()})
          .Hint("the header is damaged");
    }
    elements *= extent;
  }
  // Grow with what is really there: a header may claim more than the file holds.
  std::vector<std::uint8_t> values;
  while (static_cast<std::int64_t>(values.size()) < elements) {
    const std::int64_t before = static_cast<std::int64_t>(values.size());
    const std::int64_t want = std::min<std::int64_t>(elements - before, 1 << 24);
    values.resize(static_cast<std::size_t>(before + want));
    const std::int64_t got = read(values.data() + before, want);
    if (got != want) {
      throw truncated("the header announces " + std::to_string(elements) + " bytes, the file has " +
                      std::to_string(before + got));
    }
  }
  return values;
}

DataRecords ReadIdxPair(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::int64_t> image_extents;
  std::vector<std::int64_t> label_extents;
  DataRecords raw;
  raw.bytes = ReadIdx(paths[0], &image_extents);
  const std::vector<std::uint8_t> labels = ReadIdx(paths[1], &label_extents);
  raw.labels.assign(labels.begin(), labels.end());
  if (image_extents.size() < 3 || label_extents.size() != 1) {
    throw Error(ErrorId::kDataFormat, "images need 3 or 4 dimensions and labels one, got " +
                                          std::to_string(image_extents.size()) + " and " +
                                          std::to_string(label_extents.size()))
        .At({paths[0].string()})
        .Hint("give idx:IMAGES,LABELS in this order");
  }
  if (image_extents[0] != label_extents[0]) {
    throw Error(ErrorId::kDataCount, std::to_string(image_extents[0]) + " images but " +
                                         std::to_string(label_extents[0]) + " labels")
        .At({paths[1].string()})
        .Hint("images and labels must come from the same set");
  }
  raw.shape.assign(image_extents.begin() + 1, image_extents.end());
  if (raw.shape.size() == 2) raw.shape.insert(raw.shape.begin(), 1);
  return raw;
}

std::vector<float> PerChannel(std::vector<float> values, std::int64_t channels, const char* what) {
  if (values.size() == 1) values.resize(static_cast<std::size_t>(channels), values[0]);
  if (static_cast<std::int64_t>(values.size()) != channels) {
    throw Error(ErrorId::kDataSpec, std::string(what) + " has " + std::to_string(values.size()) +
                                        " values for records of " + std::to_string(channels) +
                                        " channels")
        .Hint("give one value, or one per channel");
  }
  return values;
}

constexpr DataSpec::Kind kKinds[] = {DataSpec::Kind::kCifar10, DataSpec::Kind::kIdx,
                                     DataSpec::Kind::kNpy};

DataRecords ReadRecords(const DataSpec& spec) {
  switch (spec.kind) {
    case DataSpec::Kind::kCifar10:
      return ReadCifar10(spec.paths);
    case DataSpec::Kind::kIdx:
      return ReadIdxPair(spec.paths);
    case DataSpec::Kind::kNpy:
      return ReadNpyRecords(spec.paths);
  }
  return {};
}

}  // namespace

std::string_view NameOf(DataSpec::Kind kind) {
  switch (kind) {
    case DataSpec::Kind::kCifar10:
      return "cifar10";
    case DataSpec::Kind::kIdx:
      return "idx";
    case DataSpec::Kind::kNpy:
      return "npy";
  }
  return "";
}

namespace {

// The usual slip: statistics of 0 to 255, where pixels are taken as x/255.
void RequireImageScale(const DataSpec& spec) {
  for (const std::vector<float>* values : {&spec.mean, &spec.std}) {
    for (const float value : *values) {
      if (value >= 0.0F && value <= 1.0F) continue;
      throw Error(ErrorId::kDataSpec, std::string(values == &spec.mean ? "mean" : "std") + " " +
                                          fmt::format("{}", value) +
                                          " is not that of pixels from 0 to 1")
          .At({spec.paths.front().string()})
          .Hint("pixels are taken as x/255: divide mean and std of 0 to 255 by 255");
    }
  }
}

}  // namespace

DataSpec DataSpec::Parse(const std::string& text) {
  const auto fail = [&text](const std::string& why) {
    return Error(ErrorId::kDataSpec, "'" + text + "' " + why)
        .Hint("write cifar10:FILE[,FILE], idx:IMAGES,LABELS or npy:X[,Y]");
  };
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) throw fail("names no kind of data");
  const std::string kind = text.substr(0, colon);
  DataSpec spec;
  for (std::size_t begin = colon + 1; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end == begin) throw fail("holds an empty file name");
    spec.paths.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const auto known = std::find_if(std::begin(kKinds), std::end(kKinds),
                                  [&](DataSpec::Kind named) { return NameOf(named) == kind; });
  if (known == std::end(kKinds)) throw fail("names an unknown kind of data, '" + kind + "'");
  spec.kind = *known;
  if (spec.kind == Kind::kIdx && spec.paths.size() != 2) throw fail("must name two files");
  if (spec.kind == Kind::kNpy && spec.paths.size() > 2) throw fail("must name one or two files");
  return spec;
}

Dataset Dataset::Load(const DataSpec& spec) {
  if (spec.paths.empty()) {
    throw Error(ErrorId::kDataSpec, "no file is named")
        .Hint("write cifar10:FILE[,FILE], idx:IMAGES,LABELS or npy:X[,Y]");
  }
  DataRecords records = ReadRecords(spec);
  if (!records.bytes.empty()) RequireImageScale(spec);
  int class_count = 0;
  if (!records.labels.empty()) {
    const int largest = *std::max_element(records.labels.begin(), records.labels.end());
    class_count = std::max(10, largest + 1);
  }
  Dataset all(std::move(records), class_count, spec.mean, spec.std);
  if (spec.first == 0 && spec.samples < 0) return all;
  const std::int64_t count = spec.samples < 0 ? all.size() - spec.first : spec.samples;
  if (spec.first < 0 || count <= 0 || spec.first + count > all.size()) {
    throw Error(ErrorId::kDataCount, "records " + std::to_string(spec.first) + " to " +
                                         std::to_string(spec.first + count) +
                                         " are asked for, the data hold " +
                                         std::to_string(all.size()))
        .At({spec.paths[0].string()})
        .Hint("set fewer samples (a command's own default counts too), or give more files");
  }
  return all.Slice(spec.first, count);
}

Dataset::Dataset(DataRecords records, int class_count, std::vector<float> mean,
                 std::vector<float> std)
    : records_(std::move(records)), class_count_(class_count) {
  const std::vector<std::int64_t>& shape = records_.shape;
  channels_ = shape.at(0);
  width_ = shape.size() > 1 ? shape.back() : 1;
  height_ = 1;
  for (std::size_t i = 1; i + 1 < shape.size(); ++i) height_ *= shape[i];
  mean_ = PerChannel(std::move(mean), channels_, "mean");
  std_ = PerChannel(std::move(std), channels_, "std");
  const auto values =
      static_cast<std::int64_t>(std::max(records_.bytes.size(), records_.floats.size()));
  size_ = elements() == 0 ? 0 : values / elements();
  if (size_ * elements() != values || !(records_.bytes.empty() || records_.floats.empty()) ||
      (labelled() && static_cast<std::int64_t>(records_.labels.size()) != size_)) {
    throw Error(ErrorId::kInternal, "values do not match the number of records");
  }
  for (const float value : std_) {
    if (!(value > 0.0F)) {
      throw Error(ErrorId::kDataSpec, "std must be positive, got " + std::to_string(value))
          .Hint("give the standard deviation of pixels / 255, one or one per channel");
    }
  }
}

Dataset::Dataset(std::int64_t channels, std::int64_t height, std::int64_t width, int class_count,
                 std::vector<std::uint8_t> pixels, std::vector<std::uint8_t> labels,
                 std::vector<float> mean, std::vector<float> std)
    : Dataset(
          DataRecords{
              {channels, height, width}, std::move(pixels), {}, {labels.begin(), labels.end()}},
          class_count, std::move(mean), std::move(std)) {}

void Dataset::RequireLabels() const {
  if (labelled()) return;
  throw Error(ErrorId::kDataLabel, "accuracy and losses need labels, and the data have none")
      .Hint(
          "give npy:X,Y; without labels: calibration, sensitivity --method kl or output-mse, "
          "export and its --verify");
}

void Dataset::CopyNormalised(std::int64_t index, float* out) const {
  CopyAugmented(index, 0, 0, false, out);
}

void Dataset::CopyAugmented(std::int64_t index, int dx, int dy, bool flip, float* out) const {
  const std::int64_t start = index * elements();
  const std::uint8_t* bytes = records_.bytes.empty() ? nullptr : records_.bytes.data() + start;
  const float* floats = bytes == nullptr ? records_.floats.data() + start : nullptr;
  for (std::int64_t c = 0; c < channels_; ++c) {
    const float mean = mean_[static_cast<std::size_t>(c)];
    const float std = std_[static_cast<std::size_t>(c)];
    // The same operations in the same order as (x / 255 − mean) / std, so that results equal those
    // of the usual Python pipelines to the last bit.
    const float black = (0.0F - mean) / std;
    for (std::int64_t y = 0; y < height_; ++y) {
      const std::int64_t from_y = y + dy;
      for (std::int64_t x = 0; x < width_; ++x) {
        const std::int64_t from_x = (flip ? width_ - 1 - x : x) + dx;
        const bool inside = from_y >= 0 && from_y < height_ && from_x >= 0 && from_x < width_;
        if (!inside) {
          *out++ = black;
          continue;
        }
        const std::int64_t place = (c * height_ + from_y) * width_ + from_x;
        const float value =
            bytes != nullptr ? static_cast<float>(bytes[place]) / 255.0F : floats[place];
        *out++ = (value - mean) / std;
      }
    }
  }
}

Dataset Dataset::Slice(std::int64_t first, std::int64_t count) const {
  DataRecords kept;
  kept.shape = records_.shape;
  const auto copy = [](const auto& from, auto& to, std::int64_t begin, std::int64_t length) {
    if (!from.empty()) to.assign(from.begin() + begin, from.begin() + begin + length);
  };
  copy(records_.bytes, kept.bytes, first * elements(), count * elements());
  copy(records_.floats, kept.floats, first * elements(), count * elements());
  copy(records_.labels, kept.labels, first, count);
  return Dataset(std::move(kept), class_count_, mean_, std_);
}

}  // namespace bitsearch
