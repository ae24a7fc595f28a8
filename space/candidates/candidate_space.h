#pragma once
// CandidateSpace: everything that can be chosen at once (architecture, pruning, bits), as genes.
// What searchers vary, predictors encode and cost tables are keyed by. Plain data: must not depend
// on how candidates are scored, nor on LayerGraph.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "space/choices/bit_config.h"

namespace bitsearch {

/// Index of a gene of a CandidateSpace.
using GeneIndex = std::uint32_t;
/// "No gene": a gene without a parent, a cost without a gate.
inline constexpr GeneIndex kNoGene = std::numeric_limits<GeneIndex>::max();

/// What a gene decides.
enum class GeneKind : std::uint8_t { kArchitecture, kWeightBits, kActivationBits };
/// "architecture", "weight_bits", "activation_bits".
std::string_view NameOf(GeneKind kind);
std::optional<GeneKind> ParseGeneKind(std::string_view name);

/// One categorical decision: which of `values` holds.
struct Gene {
  std::string name;  ///< Unique, e.g. "block3.kernel".
  GeneKind kind = GeneKind::kArchitecture;
  /// The text of each value, in order; of a bits gene NumberFormat texts. 1 to 64 values.
  std::vector<std::string> values;
  /// The gene whose value decides whether this one matters; an earlier one, or kNoGene.
  GeneIndex parent = kNoGene;
  /// Bit v is set where this gene matters while the parent has value v.
  std::uint64_t active_for = ~std::uint64_t{0};
  /// Bits genes: the layer (or block) whose bits it sets.
  std::string layer;
  bool operator==(const Gene&) const = default;
};

/// Rows of genomes: `rows` × `genes` value indices, row after row. Does not own.
struct GenomeView {
  const std::uint8_t* data = nullptr;
  std::size_t rows = 0;
  std::size_t genes = 0;
  std::span<const std::uint8_t> row(std::size_t index) const {
    return {data + index * genes, genes};
  }
  GenomeView Slice(std::size_t first, std::size_t count) const {
    return {data + first * genes, count, genes};
  }
};

/// Genes with their values and which of them matter when. Immutable after construction; const
/// calls may come from any thread.
class CandidateSpace {
 public:
  CandidateSpace() = default;
  /// Throws Error(kCandidateSpace), naming the gene, for a duplicate name, no or more than 64
  /// values, duplicate values, a parent that does not come earlier, or a bits gene whose values
  /// are no number formats.
  CandidateSpace(std::string name, std::vector<Gene> genes);

  const std::string& name() const { return name_; }
  const std::vector<Gene>& genes() const { return genes_; }
  std::size_t size() const { return genes_.size(); }
  int cardinality(std::size_t gene) const { return cardinalities_[gene]; }
  std::optional<GeneIndex> FindGene(std::string_view name) const;

  /// Writes 1 for each gene that matters in `genome`, else 0. Both have size() elements.
  void Activity(std::span<const std::uint8_t> genome, std::span<std::uint8_t> active) const;
  /// Sets genes that do not matter to 0, so that equal networks are equal genomes.
  void Canonicalize(std::span<std::uint8_t> genome) const;
  /// Throws Error(kCandidate), naming the gene, if the length or a value index is out of range.
  void Validate(std::span<const std::uint8_t> genome) const;
  void Validate(const GenomeView& genomes) const;

  /// The genome of named values (pairs gene, value text); a gene that is left out takes its first
  /// value, unless it matters then, which throws Error(kCandidate), as do unknown names and values.
  std::vector<std::uint8_t> Parse(
      std::span<const std::pair<std::string, std::string>> values) const;

  /// Product of the cardinalities, in powers of ten; a measure only (inactive genes count).
  double Log10Size() const;

  /// A space of bits alone for a fixed network: per layer one weight gene and one activation gene
  /// (a gene with one value where the layer is pinned). `layers` and `choices` run in parallel.
  static CandidateSpace BitsOnly(std::string name, const std::vector<std::string>& layers,
                                 const std::vector<std::vector<NumberFormat>>& weight_formats,
                                 const std::vector<std::vector<NumberFormat>>& activation_formats);
  /// The configuration of a BitsOnly space's genome. Throws Error(kCandidateSpace) if this space
  /// has architecture genes or not a weight and an activation gene per layer.
  BitConfig ToBitConfig(std::span<const std::uint8_t> genome) const;
  /// The genome of a configuration; throws Error(kCandidate) for a format that the layer lacks.
  std::vector<std::uint8_t> FromBitConfig(const BitConfig& config) const;

  bool operator==(const CandidateSpace& other) const {
    return name_ == other.name_ && genes_ == other.genes_;
  }

 private:
  std::string name_;
  std::vector<Gene> genes_;
  std::vector<int> cardinalities_;
  std::unordered_map<std::string, GeneIndex> index_of_name_;
  /// Numeric copies that the hot loops read.
  std::vector<GeneIndex> parents_;
  std::vector<std::uint64_t> masks_;
  bool always_active_ = true;
};

/// 64-bit hash of a genome (not cryptographic); equal on every machine.
std::uint64_t HashGenome(std::span<const std::uint8_t> genome);

}  // namespace bitsearch
