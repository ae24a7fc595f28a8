// Checks and index arithmetic of candidate spaces. No randomness, no scores.
#include "space/candidates/candidate_space.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr std::size_t kMaxValues = 64;

std::string Joined(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : ", ") + value;
  return text;
}

std::vector<std::string> Texts(const std::vector<NumberFormat>& formats) {
  std::vector<std::string> texts;
  for (const NumberFormat& format : formats) texts.push_back(format.ToString());
  return texts;
}

}  // namespace

std::string_view NameOf(GeneKind kind) {
  switch (kind) {
    case GeneKind::kArchitecture:
      return "architecture";
    case GeneKind::kWeightBits:
      return "weight_bits";
    case GeneKind::kActivationBits:
      return "activation_bits";
  }
  return "?";
}

std::optional<GeneKind> ParseGeneKind(std::string_view name) {
  for (const GeneKind kind :
       {GeneKind::kArchitecture, GeneKind::kWeightBits, GeneKind::kActivationBits}) {
    if (NameOf(kind) == name) return kind;
  }
  return std::nullopt;
}

CandidateSpace::CandidateSpace(std::string name, std::vector<Gene> genes)
    : name_(std::move(name)), genes_(std::move(genes)) {
  for (std::size_t g = 0; g < genes_.size(); ++g) {
    const Gene& gene = genes_[g];
    const auto refuse = [&gene](const std::string& what) {
      throw Error(ErrorId::kCandidateSpace, what)
          .Key(gene.name)
          .Hint("correct this gene of the space");
    };
    if (gene.name.empty() || !index_of_name_.emplace(gene.name, static_cast<GeneIndex>(g)).second) {
      refuse("gene names must be unique and not empty");
    }
    if (gene.values.empty() || gene.values.size() > kMaxValues) {
      refuse(fmt::format("got {} values, allowed 1 to {}", gene.values.size(), kMaxValues));
    }
    if (std::set<std::string>(gene.values.begin(), gene.values.end()).size() !=
        gene.values.size()) {
      refuse("the same value twice: " + Joined(gene.values));
    }
    if (gene.parent != kNoGene && gene.parent >= g) refuse("its parent must be an earlier gene");
    if (gene.kind != GeneKind::kArchitecture) {
      for (const std::string& value : gene.values) {
        if (!NumberFormat::Parse(value)) refuse("\"" + value + "\" is not a number format");
      }
    }
    cardinalities_.push_back(static_cast<int>(gene.values.size()));
    parents_.push_back(gene.parent);
    masks_.push_back(gene.active_for);
    if (gene.parent != kNoGene) always_active_ = false;
  }
}

std::optional<GeneIndex> CandidateSpace::FindGene(std::string_view name) const {
  const auto found = index_of_name_.find(std::string(name));
  if (found == index_of_name_.end()) return std::nullopt;
  return found->second;
}

void CandidateSpace::Activity(std::span<const std::uint8_t> genome,
                              std::span<std::uint8_t> active) const {
  if (always_active_) {
    std::memset(active.data(), 1, active.size());
    return;
  }
  for (std::size_t g = 0; g < parents_.size(); ++g) {
    const GeneIndex parent = parents_[g];
    active[g] = parent == kNoGene
                    ? 1
                    : static_cast<std::uint8_t>(active[parent] & (masks_[g] >> genome[parent]) & 1);
  }
}

void CandidateSpace::Canonicalize(std::span<std::uint8_t> genome) const {
  if (always_active_) return;
  std::vector<std::uint8_t> active(genome.size());
  Activity(genome, active);
  for (std::size_t g = 0; g < genome.size(); ++g) {
    if (active[g] == 0) genome[g] = 0;
  }
}

void CandidateSpace::Validate(std::span<const std::uint8_t> genome) const {
  Validate(GenomeView{genome.data(), 1, genome.size()});
}

void CandidateSpace::Validate(const GenomeView& genomes) const {
  if (genomes.genes != genes_.size()) {
    throw Error(ErrorId::kCandidate, fmt::format("got {} values, space \"{}\" has {} genes",
                                                 genomes.genes, name_, genes_.size()));
  }
  for (std::size_t r = 0; r < genomes.rows; ++r) {
    const std::uint8_t* row = genomes.data + r * genomes.genes;
    for (std::size_t g = 0; g < genomes.genes; ++g) {
      if (row[g] >= cardinalities_[g]) {
        throw Error(ErrorId::kCandidate,
                    fmt::format("row {}: got index {}, allowed 0 to {} ({})", r, row[g],
                                cardinalities_[g] - 1, Joined(genes_[g].values)))
            .Key(genes_[g].name);
      }
    }
  }
}

std::vector<std::uint8_t> CandidateSpace::Parse(
    std::span<const std::pair<std::string, std::string>> values) const {
  std::vector<std::uint8_t> genome(genes_.size(), 0);
  std::vector<bool> given(genes_.size(), false);
  for (const auto& [name, text] : values) {
    const std::optional<GeneIndex> g = FindGene(name);
    if (!g) {
      std::vector<std::string> names;
      for (const Gene& gene : genes_) names.push_back(gene.name);
      const std::string nearest = NearestName(name, names);
      throw Error(ErrorId::kCandidate, fmt::format("space \"{}\" has no such gene", name_))
          .Key(name)
          .Hint(nearest.empty() ? "the predictor's description lists its genes"
                                : "did you mean \"" + nearest + "\"?");
    }
    if (given[*g]) {
      throw Error(ErrorId::kCandidate, "given twice").Key(name).Hint("remove one of the two");
    }
    given[*g] = true;
    const Gene& gene = genes_[*g];
    std::size_t v = 0;
    while (v < gene.values.size() && gene.values[v] != text) ++v;
    if (v == gene.values.size()) {
      throw Error(ErrorId::kCandidate,
                  fmt::format("got \"{}\", allowed {}", text, Joined(gene.values)))
          .Key(name);
    }
    genome[*g] = static_cast<std::uint8_t>(v);
  }
  std::vector<std::uint8_t> active(genes_.size());
  Activity(genome, active);
  for (std::size_t g = 0; g < genes_.size(); ++g) {
    if (active[g] != 0 && !given[g] && cardinalities_[g] > 1) {
      throw Error(ErrorId::kCandidate, "no value given, allowed " + Joined(genes_[g].values))
          .Key(genes_[g].name);
    }
  }
  return genome;
}

double CandidateSpace::Log10Size() const {
  double sum = 0.0;
  for (const int cardinality : cardinalities_) sum += std::log10(cardinality);
  return sum;
}

CandidateSpace CandidateSpace::BitsOnly(
    std::string name, const std::vector<std::string>& layers,
    const std::vector<std::vector<NumberFormat>>& weight_formats,
    const std::vector<std::vector<NumberFormat>>& activation_formats) {
  if (layers.size() != weight_formats.size() || layers.size() != activation_formats.size()) {
    throw Error(ErrorId::kCandidateSpace,
                fmt::format("{} layers, but formats for {} and {}", layers.size(),
                            weight_formats.size(), activation_formats.size()));
  }
  std::vector<Gene> genes;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    genes.push_back({layers[l] + ".weight_bits", GeneKind::kWeightBits, Texts(weight_formats[l]),
                     kNoGene, ~std::uint64_t{0}, layers[l]});
    genes.push_back({layers[l] + ".activation_bits", GeneKind::kActivationBits,
                     Texts(activation_formats[l]), kNoGene, ~std::uint64_t{0}, layers[l]});
  }
  return CandidateSpace(std::move(name), std::move(genes));
}

BitConfig CandidateSpace::ToBitConfig(std::span<const std::uint8_t> genome) const {
  Validate(genome);
  BitConfig config;
  for (std::size_t g = 0; g < genes_.size(); g += 2) {
    if (g + 1 >= genes_.size() || genes_[g].kind != GeneKind::kWeightBits ||
        genes_[g + 1].kind != GeneKind::kActivationBits || genes_[g].layer != genes_[g + 1].layer) {
      throw Error(ErrorId::kCandidateSpace,
                  "not a space of bits alone: needs a weight and an "
                  "activation gene for each layer")
          .Key(genes_[g].name);
    }
    config.choices.push_back({*NumberFormat::Parse(genes_[g].values[genome[g]]),
                              *NumberFormat::Parse(genes_[g + 1].values[genome[g + 1]])});
  }
  return config;
}

std::vector<std::uint8_t> CandidateSpace::FromBitConfig(const BitConfig& config) const {
  if (config.choices.size() * 2 != genes_.size()) {
    throw Error(ErrorId::kCandidate, fmt::format("got {} layers, space \"{}\" has {}",
                                                 config.choices.size(), name_, genes_.size() / 2));
  }
  std::vector<std::uint8_t> genome(genes_.size());
  for (std::size_t g = 0; g < genes_.size(); ++g) {
    const BitChoice& choice = config.choices[g / 2];
    const std::string text = (g % 2 == 0 ? choice.weight : choice.activation).ToString();
    std::size_t v = 0;
    while (v < genes_[g].values.size() && genes_[g].values[v] != text) ++v;
    if (v == genes_[g].values.size()) {
      throw Error(ErrorId::kCandidate,
                  fmt::format("got \"{}\", allowed {}", text, Joined(genes_[g].values)))
          .Key(genes_[g].name);
    }
    genome[g] = static_cast<std::uint8_t>(v);
  }
  return genome;
}

std::uint64_t HashGenome(std::span<const std::uint8_t> genome) {
  // Eight values at a time, each word mixed by the finalizer of splitmix64.
  std::uint64_t hash = 0x9e3779b97f4a7c15ULL ^ genome.size();
  std::size_t i = 0;
  while (i < genome.size()) {
    std::uint64_t word = 0;
    for (std::size_t k = 0; k < 8 && i < genome.size(); ++k, ++i) {
      word |= static_cast<std::uint64_t>(genome[i]) << (8 * k);
    }
    hash ^= word;
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
    hash ^= hash >> 31;
  }
  return hash;
}

}  // namespace bitsearch
