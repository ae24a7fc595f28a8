#pragma once
// JSON ↔ configurations: the one form that the line protocol and the HTTP service speak. Must not
// know sockets, streams or networks.

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "space/candidates/candidate_space.h"

namespace bitsearch {

/// Reads one configuration in any of its forms:
///   {"layers": [{"name": "conv1", "weight_bits": 4, "activation_bits": 8}, …]}   configuration
///   files
///   {"values": {"conv1.weight_bits": 4, "block0.kernel": 3, …}}                  any gene by name
///   {"bits": [[4, 8], …]}               weight and activation bits of the layers, in their order
///   {"indices": [1, 1, …]}              value indices of the genes, in their order
/// `layers` and `values` may be combined. Immutable; holds a reference to the space.
class CandidateReader {
 public:
  explicit CandidateReader(const CandidateSpace& space);

  /// Appends the genome of `request` to `genomes`. Keys in `also_allowed` are left to the caller;
  /// other unknown keys are refused, unless the object says `format` (a configuration file).
  /// Throws Error(kCandidate) naming what is wrong; `genomes` is then unchanged.
  void Read(const nlohmann::json& request, std::span<const std::string_view> also_allowed,
            std::vector<std::uint8_t>& genomes) const;
  /// The same for a row of `indices`.
  void ReadIndices(const nlohmann::json& row, std::vector<std::uint8_t>& genomes) const;

 private:
  struct LayerGenes {
    std::string name;
    GeneIndex weight = kNoGene;
    GeneIndex activation = kNoGene;
  };
  using Named = std::vector<std::pair<std::string, std::string>>;
  void ReadLayers(const nlohmann::json& layers, Named& named) const;
  void ReadBits(const nlohmann::json& bits, std::vector<std::uint8_t>& genomes) const;
  std::uint8_t ValueOf(GeneIndex gene, const nlohmann::json& value) const;

  const CandidateSpace& space_;
  std::vector<LayerGenes> layers_;
  std::unordered_map<std::string, std::size_t> layer_of_name_;
  /// Per gene: value index by number of bits (0 to 32), −1 where there is none.
  std::vector<std::vector<std::int8_t>> value_of_bits_;
};

/// The JSON text of a configuration: indices, and layers or named values.
nlohmann::json CandidateJson(const CandidateSpace& space, std::span<const std::uint8_t> genome);

}  // namespace bitsearch
