#pragma once
// Labelled images in memory, as their files hold them (bytes), and batches of them as floats.
// Reads CIFAR-10 binaries and (gzipped) IDX files. Must not depend on LibTorch.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace bitsearch {

/// What to read: the text form is `cifar10:FILE[,FILE]` or `idx:IMAGES,LABELS`.
struct DataSpec {
  enum class Kind : std::uint8_t { kCifar10, kIdx };
  Kind kind = Kind::kCifar10;
  std::vector<std::filesystem::path> paths;
  /// Per channel, of x/255: normalised = (x/255 − mean)/std. One value serves every channel.
  std::vector<float> mean = {0.0F};
  std::vector<float> std = {1.0F};
  std::int64_t first = 0;     ///< Records to leave out at the start.
  std::int64_t samples = -1;  ///< Records to keep after that; −1 keeps all.

  /// Reads the text form; throws Error(kDataSpec) naming the forms that exist.
  static DataSpec Parse(const std::string& text);
};

/// An immutable set of images (N × C × H × W bytes) with labels in [0, class_count).
class Dataset {
 public:
  /// Throws Error: kFileNotFound, kDataTruncated, kDataFormat, kDataLabel (a label out of range),
  /// kDataCount (images and labels differ in number, or fewer than `first + samples`).
  static Dataset Load(const DataSpec& spec);
  /// For tests and synthetic data.
  Dataset(std::int64_t channels, std::int64_t height, std::int64_t width, int class_count,
          std::vector<std::uint8_t> pixels, std::vector<std::uint8_t> labels,
          std::vector<float> mean, std::vector<float> std);

  std::int64_t size() const { return static_cast<std::int64_t>(labels_.size()); }
  std::int64_t channels() const { return channels_; }
  std::int64_t height() const { return height_; }
  std::int64_t width() const { return width_; }
  int class_count() const { return class_count_; }
  const std::vector<std::uint8_t>& labels() const { return labels_; }
  std::span<const std::uint8_t> Pixels(std::int64_t index) const;
  const std::vector<float>& mean() const { return mean_; }
  const std::vector<float>& std() const { return std_; }

  /// Writes record `index` as normalised floats (C × H × W) to `out`.
  void CopyNormalised(std::int64_t index, float* out) const;
  /// The same after moving the image by (`dx`, `dy`) pixels (uncovered pixels are black, value 0
  /// before normalisation) and mirroring it if `flip`: the usual crop-and-flip augmentation.
  void CopyAugmented(std::int64_t index, int dx, int dy, bool flip, float* out) const;
  /// Records [first, first + count) as a set of its own.
  Dataset Slice(std::int64_t first, std::int64_t count) const;

 private:
  std::int64_t channels_ = 0;
  std::int64_t height_ = 0;
  std::int64_t width_ = 0;
  int class_count_ = 0;
  std::vector<std::uint8_t> pixels_;
  std::vector<std::uint8_t> labels_;
  std::vector<float> mean_;
  std::vector<float> std_;
};

}  // namespace bitsearch
