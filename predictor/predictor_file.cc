// Model ↔ bytes. All of JSON stays in this file.
#include "predictor/predictor_file.h"

#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/hash.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kMagic[] = {'B', 'S', 'P', 'R', 'E', 'D', '\r', '\n'};
constexpr std::size_t kFixedSize = 32;
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kDigestSize = 32;
constexpr const char* kDamaged = "the file is damaged or no predictor; train or copy it again";

/// Appends arrays and remembers where they lie.
class ArrayWriter {
 public:
  Json Add(const Eigen::MatrixXf& matrix) {
    const Json place = {{"rows", matrix.rows()}, {"columns", matrix.cols()}, {"first", count_}};
    for (Eigen::Index r = 0; r < matrix.rows(); ++r) {
      for (Eigen::Index c = 0; c < matrix.cols(); ++c) {
        const float value = matrix(r, c);
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
      }
    }
    count_ += matrix.size();
    return place;
  }
  Json Add(const DenseLayer& layer) {
    Json json;
    json["weights"] = Add(layer.weights);
    json["bias"] = Add(Eigen::MatrixXf(layer.bias));
    return json;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::int64_t count_ = 0;
};

class ArrayReader {
 public:
  ArrayReader(const std::byte* data, std::size_t count) : data_(data), count_(count) {}
  Eigen::MatrixXf Matrix(const Json& place) const {
    const auto rows = place.at("rows").get<std::int64_t>();
    const auto columns = place.at("columns").get<std::int64_t>();
    const auto first = place.at("first").get<std::int64_t>();
    const auto count = static_cast<std::int64_t>(count_);
    // Extents beyond the count are refused for empty arrays too: they would cost time.
    if (rows < 0 || columns < 0 || first < 0 || first > count || rows > count || columns > count ||
        (rows > 0 && columns > (count - first) / rows)) {
      throw Error(ErrorId::kPredictorFile, "an array lies outside the file");
    }
    Eigen::MatrixXf matrix(rows, columns);
    const std::byte* from = data_ + first * static_cast<std::int64_t>(sizeof(float));
    for (Eigen::Index r = 0; r < rows; ++r) {
      for (Eigen::Index c = 0; c < columns; ++c, from += sizeof(float)) {
        std::memcpy(&matrix(r, c), from, sizeof(float));
      }
    }
    return matrix;
  }
  DenseLayer Layer(const Json& json) const {
    const Eigen::MatrixXf bias = Matrix(json.at("bias"));
    return {Matrix(json.at("weights")),
            bias.size() == 0 ? Eigen::VectorXf() : Eigen::VectorXf(bias.col(0))};
  }

 private:
  const std::byte* data_;
  std::size_t count_;
};

Json SpaceJson(const CandidateSpace& space) {
  Json genes = Json::array();
  for (const Gene& gene : space.genes()) {
    Json json = {{"name", gene.name}, {"kind", NameOf(gene.kind)}, {"values", gene.values}};
    if (!gene.layer.empty()) json["layer"] = gene.layer;
    if (gene.parent != kNoGene) {
      json["parent"] = space.genes()[gene.parent].name;
      Json active = Json::array();
      for (std::size_t v = 0; v < space.genes()[gene.parent].values.size(); ++v) {
        if ((gene.active_for >> v & 1) != 0) active.push_back(space.genes()[gene.parent].values[v]);
      }
      json["active_for"] = std::move(active);
    }
    genes.push_back(std::move(json));
  }
  return {{"name", space.name()}, {"genes", std::move(genes)}};
}

std::uint64_t MaskOf(const Gene& gene, const Json& values) {
  std::uint64_t mask = 0;
  for (const Json& value : values) {
    const auto text = value.get<std::string>();
    std::size_t v = 0;
    while (v < gene.values.size() && gene.values[v] != text) ++v;
    if (v == gene.values.size()) {
      throw Error(ErrorId::kPredictorFile, "\"" + text + "\" is no value of this gene")
          .Key(gene.name);
    }
    mask |= std::uint64_t{1} << v;
  }
  return mask;
}

CandidateSpace SpaceFrom(const Json& json) {
  std::vector<Gene> genes;
  for (const Json& entry : json.at("genes")) {
    Gene gene;
    gene.name = entry.at("name");
    const std::optional<GeneKind> kind = ParseGeneKind(entry.at("kind").get<std::string>());
    if (!kind) throw Error(ErrorId::kPredictorFile, "unknown kind of gene").Key(gene.name);
    gene.kind = *kind;
    gene.values = entry.at("values").get<std::vector<std::string>>();
    gene.layer = entry.value("layer", std::string());
    if (entry.contains("parent")) {
      const auto parent = entry.at("parent").get<std::string>();
      for (std::size_t g = 0; g < genes.size(); ++g) {
        if (genes[g].name == parent) gene.parent = static_cast<GeneIndex>(g);
      }
      if (gene.parent == kNoGene) {
        throw Error(ErrorId::kPredictorFile, "no earlier gene \"" + parent + "\"").Key(gene.name);
      }
      gene.active_for = MaskOf(genes[gene.parent], entry.at("active_for"));
    }
    genes.push_back(std::move(gene));
  }
  return CandidateSpace(json.at("name").get<std::string>(), std::move(genes));
}

Json EncodingJson(const Encoding& encoding) {
  Json genes = Json::array();
  for (const GeneEncoding& gene : encoding.genes()) {
    if (gene.first_feature == GeneEncoding::kNotEncoded) {
      genes.push_back(nullptr);
    } else {
      genes.push_back(Json{{"group", gene.group == FeatureGroup::kBits ? "bits" : "architecture"},
                           {"first", gene.first_feature}});
    }
  }
  return {{"version", Encoding::kVersion},
          {"architecture_features", encoding.features(FeatureGroup::kArchitecture)},
          {"bits_features", encoding.features(FeatureGroup::kBits)},
          {"genes", std::move(genes)}};
}

Encoding EncodingFrom(const Json& json, CandidateSpace space) {
  if (const int version = json.at("version"); version != Encoding::kVersion) {
    throw Error(ErrorId::kPredictorVersion, fmt::format("its encoding has version {}, this program "
                                                        "reads version {}",
                                                        version, Encoding::kVersion));
  }
  std::vector<GeneEncoding> genes;
  for (const Json& entry : json.at("genes")) {
    GeneEncoding gene;
    gene.first_feature = GeneEncoding::kNotEncoded;
    if (!entry.is_null()) {
      gene.group = entry.at("group") == "bits" ? FeatureGroup::kBits : FeatureGroup::kArchitecture;
      gene.first_feature = entry.at("first");
    }
    genes.push_back(gene);
  }
  return Encoding(std::move(space), std::move(genes),
                  json.at("architecture_features").get<std::vector<std::string>>(),
                  json.at("bits_features").get<std::vector<std::string>>());
}

Json CostsJson(const PredictorModel& model) {
  const auto index_or_null = [](GeneIndex gene) { return gene == kNoGene ? Json() : Json(gene); };
  Json costs = Json::array();
  for (const FactoredCost& cost : model.costs) {
    Json terms = Json::array();
    for (const CostTerm& term : cost.terms()) {
      terms.push_back(
          {{"genes", term.genes}, {"gate", index_or_null(term.gate)}, {"values", term.values}});
    }
    costs.push_back({{"name", cost.name()},
                     {"decimals", cost.decimals()},
                     {"fixed", cost.fixed_grid_units()},
                     {"terms", std::move(terms)}});
  }
  return costs;
}

FactoredCost CostFrom(const Json& json, const CandidateSpace& space) {
  std::vector<CostTerm> terms;
  for (const Json& entry : json.at("terms")) {
    CostTerm term;
    term.genes = entry.at("genes").get<std::vector<GeneIndex>>();
    if (!entry.at("gate").is_null()) term.gate = entry.at("gate");
    term.values = entry.at("values").get<std::vector<std::int64_t>>();
    terms.push_back(std::move(term));
  }
  return FactoredCost(space, json.at("name"), json.at("decimals"), json.at("fixed"),
                      std::move(terms));
}

Json TrainingJson(const PredictorModel& model) {
  Json facts = Json::object();
  for (const auto& [name, value] : model.facts) facts[name] = value;
  Json range;
  if (!model.trained_values.empty()) {
    range = Json::object();
    for (std::size_t g = 0; g < model.trained_values.size(); ++g) {
      const Gene& gene = model.encoding.space().genes()[g];
      Json values = Json::array();
      for (std::size_t v = 0; v < gene.values.size(); ++v) {
        if ((model.trained_values[g] >> v & 1) != 0) values.push_back(gene.values[v]);
      }
      range[gene.name] = std::move(values);
    }
  }
  return {{"facts", std::move(facts)}, {"range", std::move(range)}};
}

/// Everything but arrays.
Json HeaderOf(const PredictorModel& model) {
  return {{"format", "bitsearch/predictor"},
          {"version", kPredictorFileVersion},
          {"space", SpaceJson(model.encoding.space())},
          {"encoding", EncodingJson(model.encoding)},
          {"output",
           {{"unit", "top1_percent"},
            {"offset", model.output_offset_percent},
            {"scale", model.output_scale_percent},
            {"residual_deviation", model.residual_deviation_percent}}},
          {"training", TrainingJson(model)},
          {"cost_table_sha256", CostTableHash(model)}};
}

/// Version 1 had one network under "network", and neither costs nor a residual deviation.
void Migrate(Json& header, std::uint32_t version) {
  if (version == 1) {
    header["members"] = Json::array({header.at("network")});
    header["costs"] = Json::array();
    header["cost_table_sha256"] = "";
    header.at("output")["residual_deviation"] = 0.0;
  }
}

PredictorModel ModelFrom(const Json& header, const ArrayReader& arrays) {
  PredictorModel model;
  CandidateSpace space = SpaceFrom(header.at("space"));
  for (const Json& cost : header.at("costs")) model.costs.push_back(CostFrom(cost, space));
  model.encoding = EncodingFrom(header.at("encoding"), std::move(space));
  for (const Json& entry : header.at("members")) {
    Perceptron member;
    member.architecture = arrays.Layer(entry.at("architecture"));
    if (entry.contains("bits")) member.bits = arrays.Layer(entry.at("bits"));
    for (const Json& layer : entry.at("hidden")) member.hidden.push_back(arrays.Layer(layer));
    member.output = arrays.Layer(entry.at("output"));
    model.members.push_back(std::move(member));
  }
  const Json& output = header.at("output");
  model.output_offset_percent = output.at("offset");
  model.output_scale_percent = output.at("scale");
  model.residual_deviation_percent = output.at("residual_deviation");
  const Json& training = header.at("training");
  for (const auto& [name, value] : training.at("facts").items()) {
    model.facts.emplace_back(name, value.get<std::string>());
  }
  if (!training.at("range").is_null()) {
    for (const Gene& gene : model.encoding.space().genes()) {
      model.trained_values.push_back(MaskOf(gene, training.at("range").at(gene.name)));
    }
  }
  model.Validate();
  if (header.at("cost_table_sha256") != CostTableHash(model)) {
    throw Error(ErrorId::kPredictorFile, "the hash of its cost tables is wrong");
  }
  return model;
}

template <typename T>
T FixedAt(std::span<const std::byte> bytes, std::size_t offset) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string RawDigest(std::string_view bytes) {
  const std::string hex = Sha256(bytes);
  std::string raw;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    raw += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return raw;
}

PredictorModel Parse(std::span<const std::byte> bytes) {
  const auto refuse = [](const std::string& what) { throw Error(ErrorId::kPredictorFile, what); };
  if (bytes.size() < sizeof kMagic || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) {
    refuse("not a predictor file");
  }
  if (bytes.size() < kFixedSize + kDigestSize) refuse("the file is truncated");
  const auto version = FixedAt<std::uint32_t>(bytes, 8);
  if (version < 1 || version > kPredictorFileVersion) {
    throw Error(ErrorId::kPredictorVersion,
                fmt::format("the file has version {}, this program reads 1 to {}", version,
                            kPredictorFileVersion))
        .Hint("use the bitsearch that wrote it, or a newer one");
  }
  const auto total = FixedAt<std::uint64_t>(bytes, 16);
  if (total != bytes.size()) {
    refuse(fmt::format("the file has {} bytes, its head says {}: truncated or altered",
                       bytes.size(), total));
  }
  const std::size_t content = bytes.size() - kDigestSize;
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  if (RawDigest({text, content}) != std::string_view(text + content, kDigestSize)) {
    refuse("its checksum is wrong: the file was altered or damaged");
  }
  const auto header_size = FixedAt<std::uint64_t>(bytes, 24);
  if (header_size > content - kFixedSize) refuse("its header does not fit");
  const std::size_t data = (kFixedSize + header_size + kAlignment - 1) / kAlignment * kAlignment;
  if (data > content) refuse("its arrays do not fit");
  Json header = Json::parse(text + kFixedSize, text + kFixedSize + header_size);
  Migrate(header, version);
  return ModelFrom(header, ArrayReader(bytes.data() + data, (content - data) / sizeof(float)));
}

}  // namespace

std::string CostTableHash(const PredictorModel& model) {
  return model.costs.empty() ? std::string() : Sha256(CostsJson(model).dump());
}

std::string DescribePredictor(const PredictorModel& model) {
  Json header = HeaderOf(model);
  Json layers = Json::array();
  const auto describe = [&layers](const char* name, const DenseLayer& layer) {
    layers.push_back(
        {{"name", name}, {"inputs", layer.weights.cols()}, {"outputs", layer.weights.rows()}});
  };
  const Perceptron& member = model.members.front();
  describe("architecture", member.architecture);
  if (member.bits.weights.rows() > 0) describe("bits", member.bits);
  for (const DenseLayer& layer : member.hidden) describe("hidden", layer);
  describe("output", member.output);
  header["layers"] = std::move(layers);
  header["members"] = model.members.size();
  header["parameters_per_member"] = member.ParameterCount();
  Json costs = Json::array();
  for (const FactoredCost& cost : model.costs) costs.push_back(cost.name());
  header["costs"] = std::move(costs);
  return header.dump();
}

std::string SerializePredictor(const PredictorModel& model) {
  model.Validate();
  ArrayWriter arrays;
  Json header = HeaderOf(model);
  header["costs"] = CostsJson(model);
  header["members"] = Json::array();
  for (const Perceptron& member : model.members) {
    Json entry;
    entry["architecture"] = arrays.Add(member.architecture);
    if (member.bits.weights.rows() > 0) entry["bits"] = arrays.Add(member.bits);
    entry["hidden"] = Json::array();
    for (const DenseLayer& layer : member.hidden) entry["hidden"].push_back(arrays.Add(layer));
    entry["output"] = arrays.Add(member.output);
    header["members"].push_back(std::move(entry));
  }
  const std::string text = header.dump();
  const std::size_t data = (kFixedSize + text.size() + kAlignment - 1) / kAlignment * kAlignment;
  std::string bytes(kMagic, sizeof kMagic);
  const auto append = [&bytes](auto value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  append(kPredictorFileVersion);
  append(std::uint32_t{0});
  append(static_cast<std::uint64_t>(data + arrays.bytes().size() + kDigestSize));
  append(static_cast<std::uint64_t>(text.size()));
  bytes += text;
  bytes.resize(data, '\0');
  bytes += arrays.bytes();
  bytes += RawDigest(bytes);
  return bytes;
}

void WritePredictor(const std::filesystem::path& path, const PredictorModel& model) {
  WriteFileAtomically(path, SerializePredictor(model));
}

PredictorModel ParsePredictor(std::span<const std::byte> bytes, const std::string& name) {
  try {
    return Parse(bytes);
  } catch (const nlohmann::json::exception& failure) {
    throw Error(ErrorId::kPredictorFile, fmt::format("malformed header: {}", failure.what()))
        .At({name, 0, 0})
        .Hint(kDamaged);
  } catch (Error& error) {
    if (error.hint().empty()) error.Hint(kDamaged);
    throw error.At({name, 0, 0});
  }
}

PredictorModel ReadPredictor(const std::filesystem::path& path) {
  return ParsePredictor(ReadBinaryFile(path), path.string());
}

}  // namespace bitsearch
