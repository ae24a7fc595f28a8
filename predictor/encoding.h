#pragma once
// Encoding: genome → named one-hot features. The versioned contract between training and inference:
// which value of which gene switches on which input. Must not know any model.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "space/candidates/candidate_space.h"

namespace bitsearch {

/// Where a feature enters the network: architecture before the first ReLU, bits after it (APQ).
enum class FeatureGroup : std::uint8_t { kArchitecture, kBits };

/// Which features a gene switches on.
struct GeneEncoding {
  FeatureGroup group = FeatureGroup::kArchitecture;
  /// Value v switches on feature first_feature + v of the group; kNotEncoded: the gene has none
  /// (a depth, which shows in what is active).
  std::uint32_t first_feature = 0;
  static constexpr std::uint32_t kNotEncoded = ~std::uint32_t{0};
  bool operator==(const GeneEncoding&) const = default;
};

/// Zero or one active feature per gene: a gene that does not matter contributes nothing. Immutable
/// after construction; const calls may come from any thread.
class Encoding {
 public:
  /// The version of the meaning below; a file with another one is not read.
  static constexpr int kVersion = 1;

  Encoding() = default;
  /// Throws Error(kPredictorModel) if `genes` does not fit the space or features overlap names.
  Encoding(CandidateSpace space, std::vector<GeneEncoding> genes,
           std::vector<std::string> architecture_features, std::vector<std::string> bits_features);

  /// Every value of every gene is a feature named "gene=value", in gene order; architecture genes
  /// in one group, bits genes in the other. Genes named in `implied` are left out: depths, which
  /// show in what is active.
  static Encoding OneHot(CandidateSpace space, const std::vector<std::string>& implied = {});
  /// APQ's 520 + 252 inputs: depths are not encoded. `space` is MakeApqSpace().
  static Encoding Apq(CandidateSpace space);
  /// The 128 inputs of the once-for-all predictor: kernels (60), expand ratios (60), three that
  /// are never on, resolutions (5); depths are not encoded. `space` is MakeOnceForAllSpace().
  static Encoding OnceForAll(CandidateSpace space);

  const CandidateSpace& space() const { return space_; }
  const std::vector<GeneEncoding>& genes() const { return genes_; }
  const std::vector<std::string>& features(FeatureGroup group) const {
    return features_[static_cast<std::size_t>(group)];
  }

  /// Appends to each list the features that `genome` switches on, ascending in gene order.
  /// `active` is scratch of space().size() elements.
  void ActiveFeatures(std::span<const std::uint8_t> genome, std::span<std::uint8_t> active,
                      std::vector<std::uint32_t>& architecture,
                      std::vector<std::uint32_t>& bits) const;
  /// The same as dense rows of 0 and 1: rows × features of a group, row after row.
  std::vector<float> Dense(const GenomeView& genomes, FeatureGroup group) const;

  bool operator==(const Encoding& other) const {
    return space_ == other.space_ && genes_ == other.genes_ && features_[0] == other.features_[0] &&
           features_[1] == other.features_[1];
  }

 private:
  CandidateSpace space_;
  std::vector<GeneEncoding> genes_;
  std::vector<std::string> features_[2];
};

}  // namespace bitsearch
