#pragma once
// Records in memory, as their files hold them (images as bytes, other arrays as floats), labelled
// or not, and as floats for a network. Reads CIFAR-10 binaries, (gzipped) IDX files and NumPy
// arrays. Must not depend on LibTorch.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace bitsearch {

/// What to read: the text form is `cifar10:FILE[,FILE]`, `idx:IMAGES,LABELS` or `npy:X[,Y]`.
struct DataSpec {
  enum class Kind : std::uint8_t { kCifar10, kIdx, kNpy };
  Kind kind = Kind::kCifar10;
  std::vector<std::filesystem::path> paths;
  /// Per channel: normalised = (x/255 − mean)/std, or (x − mean)/std where the file holds other
  /// numbers than bytes. One value serves every channel.
  std::vector<float> mean = {0.0F};
  std::vector<float> std = {1.0F};
  std::int64_t first = 0;     ///< Records to leave out at the start.
  std::int64_t samples = -1;  ///< Records to keep after that; −1 keeps all.

  /// Reads the text form; throws Error(kDataSpec) naming the forms that exist.
  static DataSpec Parse(const std::string& text);
};

/// "cifar10", "idx", "npy".
std::string_view NameOf(DataSpec::Kind kind);

/// What a file of records holds: bytes, which are images, or other numbers; one of the two.
struct DataRecords {
  std::vector<std::int64_t> shape;  ///< Of one record, [C, H, W] for images; not empty.
  std::vector<std::uint8_t> bytes;
  std::vector<float> floats;
  std::vector<std::int32_t> labels;  ///< Empty: the records are unlabelled.
};

/// An immutable set of records, mostly images (N × C × H × W), with labels in [0, class_count) or
/// without any.
class Dataset {
 public:
  /// Throws Error: kFileNotFound, kDataTruncated, kArrayFormat, kDataFormat, kDataLabel (a label
  /// out of range), kDataCount (records and labels differ in number, or fewer than `first +
  /// samples`).
  static Dataset Load(const DataSpec& spec);
  /// Throws Error(kDataSpec): mean or std do not suit the channels.
  Dataset(DataRecords records, int class_count, std::vector<float> mean, std::vector<float> std);
  /// Labelled images, for tests and synthetic data.
  Dataset(std::int64_t channels, std::int64_t height, std::int64_t width, int class_count,
          std::vector<std::uint8_t> pixels, std::vector<std::uint8_t> labels,
          std::vector<float> mean, std::vector<float> std);

  std::int64_t size() const { return size_; }
  /// Extents and number of elements of one record, as a network reads it.
  const std::vector<std::int64_t>& shape() const { return records_.shape; }
  std::int64_t elements() const { return channels_ * height_ * width_; }
  bool is_image() const { return records_.shape.size() == 3; }
  /// Of an image. Of other records: the first extent, the product of those between, and the last
  /// (1 where there is none).
  std::int64_t channels() const { return channels_; }
  std::int64_t height() const { return height_; }
  std::int64_t width() const { return width_; }
  /// Whether accuracy and losses can be measured on the records. If not, labels() is empty and
  /// class_count() is 0.
  bool labelled() const { return !records_.labels.empty(); }
  int class_count() const { return class_count_; }
  const std::vector<std::int32_t>& labels() const { return records_.labels; }
  /// Throws Error(kDataLabel), saying what works without labels, if there are none.
  void RequireLabels() const;
  const std::vector<float>& mean() const { return mean_; }
  const std::vector<float>& std() const { return std_; }

  /// Writes record `index` as normalised floats (`elements()`, row-major) to `out`.
  void CopyNormalised(std::int64_t index, float* out) const;
  /// The same after moving the image by (`dx`, `dy`) pixels (uncovered pixels are black, value 0
  /// before normalisation) and mirroring it if `flip`: the usual crop-and-flip augmentation.
  void CopyAugmented(std::int64_t index, int dx, int dy, bool flip, float* out) const;
  /// Records [first, first + count) as a set of its own.
  Dataset Slice(std::int64_t first, std::int64_t count) const;

 private:
  DataRecords records_;
  std::int64_t size_ = 0;
  std::int64_t channels_ = 0;
  std::int64_t height_ = 0;
  std::int64_t width_ = 0;
  int class_count_ = 0;
  std::vector<float> mean_;
  std::vector<float> std_;
};

}  // namespace bitsearch
