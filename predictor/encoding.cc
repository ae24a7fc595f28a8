// One-hot features of genomes.
#include "predictor/encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "space/candidates/published_spaces.h"
#include "space/support/error.h"

namespace bitsearch {

Encoding::Encoding(CandidateSpace space, std::vector<GeneEncoding> genes,
                   std::vector<std::string> architecture_features,
                   std::vector<std::string> bits_features)
    : space_(std::move(space)), genes_(std::move(genes)) {
  features_[0] = std::move(architecture_features);
  features_[1] = std::move(bits_features);
  if (genes_.size() != space_.size()) {
    throw Error(ErrorId::kPredictorModel,
                fmt::format("encoding of {} genes, the space \"{}\" has {}", genes_.size(),
                            space_.name(), space_.size()));
  }
  std::vector<bool> taken[2] = {std::vector<bool>(features_[0].size()),
                                std::vector<bool>(features_[1].size())};
  for (std::size_t g = 0; g < genes_.size(); ++g) {
    if (genes_[g].first_feature == GeneEncoding::kNotEncoded) continue;
    std::vector<bool>& group = taken[static_cast<std::size_t>(genes_[g].group)];
    for (int v = 0; v < space_.cardinality(g); ++v) {
      const std::size_t feature =
          std::size_t{genes_[g].first_feature} + static_cast<std::size_t>(v);
      if (feature >= group.size() || group[feature]) {
        throw Error(ErrorId::kPredictorModel,
                    fmt::format("feature {} does not exist or belongs to two genes", feature))
            .Key(space_.genes()[g].name);
      }
      group[feature] = true;
    }
  }
}

Encoding Encoding::OneHot(CandidateSpace space, const std::vector<std::string>& implied) {
  std::vector<GeneEncoding> genes;
  std::vector<std::string> features[2];
  for (const Gene& gene : space.genes()) {
    const FeatureGroup group =
        gene.kind == GeneKind::kArchitecture ? FeatureGroup::kArchitecture : FeatureGroup::kBits;
    if (std::find(implied.begin(), implied.end(), gene.name) != implied.end()) {
      genes.push_back({group, GeneEncoding::kNotEncoded});
      continue;
    }
    auto& names = features[static_cast<std::size_t>(group)];
    genes.push_back({group, static_cast<std::uint32_t>(names.size())});
    for (const std::string& value : gene.values) names.push_back(gene.name + "=" + value);
  }
  return Encoding(std::move(space), std::move(genes), std::move(features[0]),
                  std::move(features[1]));
}

Encoding Encoding::Apq(CandidateSpace space) {
  std::vector<std::string> depths;
  for (std::size_t s = 0; s < ApqSpace::kStages; ++s) {
    depths.push_back(space.genes()[ApqSpace::DepthGene(s)].name);
  }
  return OneHot(std::move(space), depths);
}

Encoding Encoding::OnceForAll(CandidateSpace space) {
  using S = OnceForAllSpace;
  std::vector<GeneEncoding> genes(
      space.size(), GeneEncoding{FeatureGroup::kArchitecture, GeneEncoding::kNotEncoded});
  std::vector<std::string> names(128);
  const auto place = [&](GeneIndex gene, std::size_t first) {
    genes[gene].first_feature = static_cast<std::uint32_t>(first);
    const Gene& named = space.genes()[gene];
    for (std::size_t v = 0; v < named.values.size(); ++v) {
      names[first + v] = named.name + "=" + named.values[v];
    }
  };
  for (std::size_t b = 0; b < S::kBlocks; ++b) {
    place(S::KernelGene(b), 3 * b);
    place(S::ExpandGene(b), 60 + 3 * b);
  }
  // The shipped network has eight inputs for the resolution and its table uses the last five.
  for (std::size_t i = 120; i < 123; ++i) names[i] = fmt::format("unused{}", i);
  place(S::kResolutionGene, 123);
  return Encoding(std::move(space), std::move(genes), std::move(names), {});
}

void Encoding::ActiveFeatures(std::span<const std::uint8_t> genome, std::span<std::uint8_t> active,
                              std::vector<std::uint32_t>& architecture,
                              std::vector<std::uint32_t>& bits) const {
  space_.Activity(genome, active);
  for (std::size_t g = 0; g < genes_.size(); ++g) {
    const GeneEncoding& gene = genes_[g];
    if (active[g] == 0 || gene.first_feature == GeneEncoding::kNotEncoded) continue;
    (gene.group == FeatureGroup::kArchitecture ? architecture : bits)
        .push_back(gene.first_feature + genome[g]);
  }
}

std::vector<float> Encoding::Dense(const GenomeView& genomes, FeatureGroup group) const {
  const std::size_t width = features(group).size();
  std::vector<float> rows(genomes.rows * width, 0.0F);
  std::vector<std::uint8_t> active(space_.size());
  std::vector<std::uint32_t> lists[2];
  for (std::size_t r = 0; r < genomes.rows; ++r) {
    lists[0].clear();
    lists[1].clear();
    ActiveFeatures(genomes.row(r), active, lists[0], lists[1]);
    for (const std::uint32_t feature : lists[static_cast<std::size_t>(group)]) {
      rows[r * width + feature] = 1.0F;
    }
  }
  return rows;
}

}  // namespace bitsearch
