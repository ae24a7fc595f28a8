// Forms of configurations. The compact ones avoid text, because services are asked often.
#include "predictor/service/candidate_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "space/choices/bit_choice.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

using Json = nlohmann::json;

constexpr int kMostBits = 32;
/// A longer name is no name of ours, and comparing it with all of ours would cost time.
constexpr std::size_t kMostNameLength = 256;
/// Of a value that is shown in a message.
constexpr std::size_t kShownLength = 60;

Error Refused(const std::string& key, const std::string& what) {
  return Error(ErrorId::kCandidate, what).Key(key);
}

std::string Shown(const Json& value) {
  if (value.is_structured()) return value.is_array() ? "a list" : "an object";
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kShownLength) text = text.substr(0, kShownLength) + "…";
  return text;
}

void CheckName(const std::string& name, const std::string& where) {
  if (name.size() > kMostNameLength) throw Refused(where, "a name of this length is none");
}

/// Text of a value as genes write it: 4 → "4", 32 bits → "fp32".
std::string ValueText(const Json& value, bool bits, const std::string& key) {
  std::string text;
  if (value.is_string()) {
    text = value.get<std::string>();
    CheckName(text, key);
  } else if (value.is_number_integer()) {
    text = value.dump();
  } else {
    throw Refused(key, "got " + Shown(value) + ", allowed a whole number or a text");
  }
  if (!bits) return text;
  const auto format = NumberFormat::Parse(text);
  return format ? format->ToString() : text;
}

}  // namespace

CandidateReader::CandidateReader(const CandidateSpace& space) : space_(space) {
  for (GeneIndex g = 0; g < space_.size(); ++g) {
    const Gene& gene = space_.genes()[g];
    std::vector<std::int8_t>& by_bits = value_of_bits_.emplace_back(kMostBits + 1, std::int8_t{-1});
    if (gene.kind == GeneKind::kArchitecture) continue;
    for (std::size_t v = 0; v < gene.values.size(); ++v) {
      const NumberFormat format = *NumberFormat::Parse(gene.values[v]);
      if (format.is_integer() || format == NumberFormat::Float32() ||
          format == NumberFormat::Skip()) {
        by_bits[static_cast<std::size_t>(format.bits())] = static_cast<std::int8_t>(v);
      }
    }
    const auto [at, fresh] = layer_of_name_.try_emplace(gene.layer, layers_.size());
    if (fresh) layers_.push_back({gene.layer});
    LayerGenes& layer = layers_[at->second];
    (gene.kind == GeneKind::kWeightBits ? layer.weight : layer.activation) = g;
  }
}

std::uint8_t CandidateReader::ValueOf(GeneIndex gene, const Json& value) const {
  if (value.is_number_unsigned()) {
    const auto bits = value.get<std::uint64_t>();
    if (bits <= kMostBits && value_of_bits_[gene][bits] >= 0) {
      return static_cast<std::uint8_t>(value_of_bits_[gene][bits]);
    }
  }
  const Gene& named = space_.genes()[gene];
  const std::string text = ValueText(value, true, named.name);
  const auto found = std::find(named.values.begin(), named.values.end(), text);
  if (found == named.values.end()) {
    throw Refused(named.name,
                  fmt::format("got {}, allowed {}", Shown(value), fmt::join(named.values, ", ")));
  }
  return static_cast<std::uint8_t>(found - named.values.begin());
}

void CandidateReader::ReadIndices(const Json& row, std::vector<std::uint8_t>& genomes) const {
  if (!row.is_array() || row.size() != space_.size()) {
    throw Refused("indices",
                  fmt::format("needs a list of {} value indices, one per gene", space_.size()));
  }
  const std::size_t before = genomes.size();
  for (std::size_t g = 0; g < row.size(); ++g) {
    const Json& value = row[g];
    const int most = space_.cardinality(g);
    if (!value.is_number_unsigned() ||
        value.get<std::uint64_t>() >= static_cast<std::uint64_t>(most)) {
      genomes.resize(before);
      throw Refused(space_.genes()[g].name,
                    fmt::format("got {}, allowed the indices 0 to {} of {}", Shown(value), most - 1,
                                fmt::join(space_.genes()[g].values, ", ")));
    }
    genomes.push_back(static_cast<std::uint8_t>(value.get<std::uint64_t>()));
  }
}

void CandidateReader::ReadBits(const Json& bits, std::vector<std::uint8_t>& genomes) const {
  std::size_t covered = 0;
  for (const LayerGenes& layer : layers_) {
    covered += (layer.weight != kNoGene ? 1 : 0) + (layer.activation != kNoGene ? 1 : 0);
  }
  if (covered != space_.size()) {
    throw Refused("bits", "this predictor has genes besides bits: give \"values\" or \"indices\"");
  }
  if (!bits.is_array() || bits.size() != layers_.size()) {
    throw Refused("bits", fmt::format("needs a list of {} pairs [weight bits, activation bits]",
                                      layers_.size()));
  }
  std::vector<std::uint8_t> genome(space_.size());
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    if (!bits[l].is_array() || bits[l].size() != 2) {
      throw Refused(fmt::format("bits[{}]", l), "needs a pair [weight bits, activation bits]");
    }
    if (layers_[l].weight != kNoGene)
      genome[layers_[l].weight] = ValueOf(layers_[l].weight, bits[l][0]);
    if (layers_[l].activation != kNoGene) {
      genome[layers_[l].activation] = ValueOf(layers_[l].activation, bits[l][1]);
    }
  }
  genomes.insert(genomes.end(), genome.begin(), genome.end());
}

void CandidateReader::ReadLayers(const Json& layers, Named& named) const {
  if (!layers.is_array()) throw Refused("layers", "needs a list");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string key = fmt::format("layers[{}]", i);
    const Json& item = layers[i];
    const auto name_at = item.is_object() ? item.find("name") : item.end();
    if (!item.is_object() || name_at == item.end() || !name_at->is_string()) {
      throw Refused(key, "needs \"name\", \"weight_bits\" and \"activation_bits\"");
    }
    const auto& name = name_at->get_ref<const std::string&>();
    CheckName(name, key);
    const auto found = layer_of_name_.find(name);
    if (found == layer_of_name_.end()) {
      std::vector<std::string> names;
      for (const LayerGenes& layer : layers_) names.push_back(layer.name);
      const std::string nearest = NearestName(name, names);
      throw Refused(key + ".name", "the predictor has no layer \"" + name + "\"")
          .Hint(nearest.empty() ? "its description lists the layers"
                                : "did you mean \"" + nearest + "\"?");
    }
    const LayerGenes& layer = layers_[found->second];
    for (const auto& [bits, gene] :
         {std::pair{"weight_bits", layer.weight}, {"activation_bits", layer.activation}}) {
      const auto value = item.find(bits);
      if (value == item.end() || gene == kNoGene) continue;  // Missing ones are found at the end.
      const std::string& gene_name = space_.genes()[gene].name;
      named.emplace_back(gene_name, ValueText(*value, true, gene_name));
    }
  }
}

void CandidateReader::Read(const Json& request, std::span<const std::string_view> also_allowed,
                           std::vector<std::uint8_t>& genomes) const {
  if (!request.is_object()) throw Refused("", "a configuration must be an object");
  const Json* forms[4] = {};
  constexpr std::string_view kForms[] = {"layers", "values", "bits", "indices"};
  bool is_file = false;
  std::string unknown;
  for (auto item = request.begin(); item != request.end(); ++item) {
    const auto form = std::find(std::begin(kForms), std::end(kForms), item.key());
    if (form != std::end(kForms)) {
      forms[form - std::begin(kForms)] = &item.value();
    } else if (item.key() == "format") {
      is_file = true;
    } else if (std::find(also_allowed.begin(), also_allowed.end(), item.key()) ==
               also_allowed.end()) {
      CheckName(item.key(), "");
      unknown = item.key();
    }
  }
  if (!unknown.empty() && !is_file) {
    throw Refused(unknown, "unknown key").Hint("allowed: layers, values, bits, indices");
  }
  const bool by_name = forms[0] != nullptr || forms[1] != nullptr;
  if (int{by_name} + int{forms[2] != nullptr} + int{forms[3] != nullptr} != 1) {
    throw Refused("", "needs one of \"layers\", \"values\", \"bits\" and \"indices\"");
  }
  if (forms[3] != nullptr) return ReadIndices(*forms[3], genomes);
  if (forms[2] != nullptr) return ReadBits(*forms[2], genomes);
  Named named;
  if (forms[0] != nullptr) ReadLayers(*forms[0], named);
  if (forms[1] != nullptr) {
    if (!forms[1]->is_object()) throw Refused("values", "needs an object");
    for (auto item = forms[1]->begin(); item != forms[1]->end(); ++item) {
      CheckName(item.key(), "values");
      const auto gene = space_.FindGene(item.key());
      const bool bits = gene && space_.genes()[*gene].kind != GeneKind::kArchitecture;
      named.emplace_back(item.key(), ValueText(item.value(), bits, item.key()));
    }
  }
  const std::vector<std::uint8_t> genome = space_.Parse(named);
  genomes.insert(genomes.end(), genome.begin(), genome.end());
}

Json CandidateJson(const CandidateSpace& space, std::span<const std::uint8_t> genome) {
  std::vector<std::uint8_t> active(space.size());
  space.Activity(genome, active);
  Json values = Json::object();
  for (std::size_t g = 0; g < space.size(); ++g) {
    if (active[g] != 0) values[space.genes()[g].name] = space.genes()[g].values[genome[g]];
  }
  return {{"indices", std::vector<int>(genome.begin(), genome.end())},
          {"values", std::move(values)}};
}

}  // namespace bitsearch
