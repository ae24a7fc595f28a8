// The CSV files of a problem other than its plain resource columns, limits and pins.
#include "experiments/problem_files.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "experiments/problem_columns.h"
#include "space/support/csv.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

class Reader {
 public:
  explicit Reader(const ProblemFiles& files) : files_(files) {}

  NamedProblem Run() {
    named_ = ProblemFromSensitivity(ReadSensitivityCsv(files_.sensitivity));
    if (files_.latency) AddColumns(*files_.latency);
    if (files_.cost) AddColumns(*files_.cost);
    if (files_.transitions) ReadTransitions(*files_.transitions);
    ScaleResources();
    if (files_.ties) ReadTies(*files_.ties);
    if (files_.pairs) ReadPairs(*files_.pairs);
    if (files_.cuts) ReadCuts(*files_.cuts);
    return std::move(named_);
  }

 private:
  void AddColumns(const std::string& path) {
    for (RawResource& resource : ReadResourceColumns(path, named_.layers, named_.choices)) {
      for (const RawResource& other : raw_) {
        if (other.name != resource.name) continue;
        throw Error(ErrorId::kCsvDuplicateColumn,
                    "the latency and the cost file both have the column")
            .At({path, 0, 0})
            .Key(resource.name)
            .Hint("remove it from one of them");
      }
      raw_.push_back(std::move(resource));
    }
  }

  LayerIndex LayerAt(const CsvTable& table, const CsvRow& row, std::size_t column) const {
    const std::string& name = table.Text(row, column);
    const auto at = std::find(named_.layers.begin(), named_.layers.end(), name);
    if (at != named_.layers.end()) {
      return LayerIndex(static_cast<std::size_t>(at - named_.layers.begin()));
    }
    const std::string nearest = NearestName(name, named_.layers);
    throw Error(ErrorId::kLayerUnknown,
                fmt::format("layer '{}' is not in the sensitivity file", name))
        .At(table.LocationOf(row, column))
        .Hint(nearest.empty() ? "its layers are those that can be chosen"
                              : "did you mean '" + nearest + "'?");
  }

  std::optional<std::size_t> ChoiceOf(LayerIndex layer, const BitChoice& choice) const {
    const auto& list = named_.choices[layer.value];
    const auto at = std::find(list.begin(), list.end(), choice);
    if (at == list.end()) return std::nullopt;
    return static_cast<std::size_t>(at - list.begin());
  }

  // --- transitions ------------------------------------------------------------------------------

  /// What the rows say of one edge.
  struct Edge {
    LayerIndex producer;
    LayerIndex consumer;
    std::map<std::pair<NumberFormat, NumberFormat>, const CsvRow*> rows;
  };

  void ReadTransitions(const std::string& path) {
    const CsvTable table = CsvTable::Read(path);
    const std::size_t producer = table.Column("producer");
    const std::size_t consumer = table.Column("consumer");
    const std::size_t from = table.Column("from_bits");
    const std::size_t to = table.Column("to_bits");
    std::optional<std::size_t> loss_column;
    std::vector<std::pair<std::size_t, std::size_t>> cost_columns;  // column, index into raw_
    std::vector<std::string> known = {"producer", "consumer", "from_bits", "to_bits",
                                      "loss_increase"};
    for (const RawResource& resource : raw_) known.push_back(resource.name);
    for (std::size_t c = 0; c < table.header().size(); ++c) {
      const std::string& name = table.header()[c];
      if (IsMeasurementColumn(name)) known.push_back(name);
      if (name == "loss_increase") loss_column = c;
      for (std::size_t r = 0; r < raw_.size(); ++r) {
        if (raw_[r].name == name) cost_columns.emplace_back(c, r);
      }
    }
    table.AllowOnly(known);
    std::vector<Edge> edges;
    std::map<std::pair<LayerIndex, LayerIndex>, std::size_t> edge_at;
    for (const CsvRow& row : table.rows()) {
      const LayerIndex a = LayerAt(table, row, producer);
      const LayerIndex b = LayerAt(table, row, consumer);
      if (a == b) {
        throw Error(ErrorId::kPairInvalid, "an edge joins a layer to itself")
            .At(table.LocationOf(row, consumer))
            .Hint("name the layer that reads the producer's output, or remove the row");
      }
      const auto [at, fresh] = edge_at.try_emplace({a, b}, edges.size());
      if (fresh) edges.push_back({a, b, {}});
      const std::pair<NumberFormat, NumberFormat> bits{FormatAt(table, row, from),
                                                       FormatAt(table, row, to)};
      const auto [first, added] = edges[at->second].rows.try_emplace(bits, &row);
      if (!added) {
        throw Error(
            ErrorId::kCsvDuplicateRow,
            fmt::format("the edge has these bits twice, first in line {}", first->second->line))
            .At(table.LocationOf(row, from))
            .Hint("keep one row for each edge and pair of bits");
      }
    }
    for (const Edge& edge : edges) AddEdge(table, edge, loss_column, cost_columns);
  }

  void AddEdge(const CsvTable& table, const Edge& edge, std::optional<std::size_t> loss_column,
               const std::vector<std::pair<std::size_t, std::size_t>>& cost_columns) {
    const auto& from_choices = named_.choices[edge.producer.value];
    const auto& to_choices = named_.choices[edge.consumer.value];
    PairTerm term;
    term.first = edge.producer;
    term.second = edge.consumer;
    std::vector<std::vector<PlacedDecimal>> costs(cost_columns.size());
    for (const BitChoice& from : from_choices) {
      for (const BitChoice& to : to_choices) {
        const auto row = edge.rows.find({from.activation, to.activation});
        if (row == edge.rows.end() && from.activation != to.activation) {
          throw Error(
              ErrorId::kTransitionMissing,
              fmt::format("no row for the edge '{}' → '{}' from {} to {} bits",
                          named_.layers[edge.producer.value], named_.layers[edge.consumer.value],
                          from.activation.ToString(), to.activation.ToString()))
              .At({table.path(), 0, 0})
              .Hint("only rows with equal bits may be left out (they cost 0)");
        }
        const bool given = row != edge.rows.end();
        if (loss_column) {
          term.loss.push_back(given ? table.Number(*row->second, *loss_column) : 0.0);
        }
        for (std::size_t i = 0; i < cost_columns.size(); ++i) {
          PlacedDecimal value;
          if (given) {
            value.where = table.LocationOf(*row->second, cost_columns[i].first);
            value.value =
                ParseDecimal(table.Text(*row->second, cost_columns[i].first), value.where);
          }
          raw_[cost_columns[i].second].Note(value);
          costs[i].push_back(std::move(value));
        }
      }
    }
    for (std::size_t i = 0; i < cost_columns.size(); ++i) {
      raw_edges_.push_back(
          {named_.problem.pairs.size(), cost_columns[i].second, std::move(costs[i])});
    }
    named_.problem.pairs.push_back(std::move(term));
  }

  // --- the integer grid -------------------------------------------------------------------------

  void ScaleResources() {
    for (const RawResource& raw : raw_) {
      Resource resource;
      resource.name = raw.name;
      if (raw.fixed) resource.fixed = ScaleTo(raw.fixed->value, raw.decimals, raw.fixed->where);
      for (const auto& of_layer : raw.cost) {
        std::vector<std::int64_t> row;
        for (const PlacedDecimal& value : of_layer) {
          row.push_back(ScaleTo(value.value, raw.decimals, value.where));
        }
        resource.cost.push_back(std::move(row));
      }
      named_.problem.resources.push_back(std::move(resource));
      named_.decimals.push_back(raw.decimals);
    }
    for (const RawEdge& edge : raw_edges_) {
      std::vector<std::int64_t> cost;
      for (const PlacedDecimal& value : edge.cost) {
        cost.push_back(ScaleTo(value.value, raw_[edge.resource].decimals, value.where));
      }
      named_.problem.pairs[edge.pair].cost.emplace_back(ResourceIndex(edge.resource),
                                                        std::move(cost));
    }
  }

  // --- ties, pairs, cuts ------------------------------------------------------------------------

  void ReadTies(const std::string& path) {
    const CsvTable table = CsvTable::Read(path);
    table.AllowOnly({"group", "layer", "what"});
    const std::size_t group = table.Column("group");
    const std::size_t layer = table.Column("layer");
    const std::optional<std::size_t> what = table.FindColumn("what");
    struct Group {
      std::string what;
      std::vector<LayerIndex> layers;
    };
    std::vector<std::string> order;
    std::map<std::string, Group> groups;
    for (const CsvRow& row : table.rows()) {
      std::string kind = what ? table.Text(row, *what) : "both";
      if (kind.empty()) kind = "both";
      if (kind != "both" && kind != "weight" && kind != "activation") {
        throw Error(ErrorId::kTieKind,
                    fmt::format("got '{}' (allowed: both, weight, activation)", kind))
            .At(table.LocationOf(row, *what));
      }
      const std::string& name = table.Text(row, group);
      const auto [at, fresh] = groups.try_emplace(name, Group{kind, {}});
      if (fresh) order.push_back(name);
      if (at->second.what != kind) {
        throw Error(ErrorId::kTieKind, fmt::format("group '{}' ties '{}' before and '{}' here",
                                                   name, at->second.what, kind))
            .At(table.LocationOf(row, *what))
            .Hint("give the second kind of tie a group of its own");
      }
      const LayerIndex index = LayerAt(table, row, layer);
      std::vector<LayerIndex>& members = at->second.layers;
      if (std::find(members.begin(), members.end(), index) != members.end()) {
        throw Error(ErrorId::kCsvDuplicateRow, fmt::format("layer '{}' is in group '{}' twice",
                                                           named_.layers[index.value], name))
            .At(table.LocationOf(row, layer))
            .Hint("remove one of the two rows");
      }
      members.push_back(index);
    }
    for (const std::string& name : order) AddTie(name, groups[name].what, groups[name].layers);
  }

  void AddTie(const std::string& name, const std::string& what,
              const std::vector<LayerIndex>& layers) {
    Tie tie;
    tie.name = name;
    tie.layers = layers;
    std::map<BitChoice, int> label_of;
    for (LayerIndex layer : layers) {
      tie.label.emplace_back();
      for (BitChoice choice : named_.choices[layer.value]) {
        // What is not tied must not tell labels apart.
        if (what == "weight") choice.activation = NumberFormat();
        if (what == "activation") choice.weight = NumberFormat();
        const int next = static_cast<int>(label_of.size());
        tie.label.back().push_back(label_of.try_emplace(choice, next).first->second);
      }
    }
    named_.problem.ties.push_back(std::move(tie));
  }

  void ReadPairs(const std::string& path) {
    const CsvTable table = CsvTable::Read(path);
    // Checks numbers and bits; the rows are then read with their places.
    const std::vector<PairSensitivity> pairs = ReadPairsCsv(path);
    std::map<std::pair<LayerIndex, LayerIndex>, std::size_t> term_at;
    std::set<std::tuple<LayerIndex, BitChoice, LayerIndex, BitChoice>> seen;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const CsvRow& row = table.rows()[i];
      LayerIndex a = LayerAt(table, row, table.Column("layer_a"));
      LayerIndex b = LayerAt(table, row, table.Column("layer_b"));
      BitChoice choice_a = pairs[i].choice_a;
      BitChoice choice_b = pairs[i].choice_b;
      if (a == b) {
        throw Error(ErrorId::kPairInvalid, "a pair term joins a layer to itself")
            .At(table.LocationOf(row, table.Column("layer_b")))
            .Hint("what a layer costs alone belongs in the sensitivity file");
      }
      if (b < a) {
        std::swap(a, b);
        std::swap(choice_a, choice_b);
      }
      if (!seen.insert({a, choice_a, b, choice_b}).second) {
        throw Error(ErrorId::kCsvDuplicateRow, "the pair of choices is given twice")
            .At(table.LocationOf(row, table.Column("layer_a")))
            .Hint("the order of the two layers does not matter: keep one of the rows");
      }
      const auto first = ChoiceOf(a, choice_a);
      const auto second = ChoiceOf(b, choice_b);
      if (!first || !second) continue;
      const std::size_t columns = named_.choices[b.value].size();
      const auto [at, fresh] = term_at.try_emplace({a, b}, named_.problem.pairs.size());
      if (fresh) {
        PairTerm term;
        term.first = a;
        term.second = b;
        term.loss.assign(named_.choices[a.value].size() * columns, 0.0);
        named_.problem.pairs.push_back(std::move(term));
      }
      named_.problem.pairs[at->second].loss[*first * columns + *second] = pairs[i].loss_increase;
    }
  }

  void ReadCuts(const std::string& path) {
    const CsvTable table = CsvTable::Read(path);
    table.AllowOnly({"cut", "layer", "elements"});
    const std::size_t cut_column = table.Column("cut");
    const std::size_t layer_column = table.Column("layer");
    const std::size_t elements_column = table.Column("elements");
    Resource peak;
    peak.name = kPeakResource;
    std::map<std::string, std::size_t> cut_at;
    for (const CsvRow& row : table.rows()) {
      const std::string& name = table.Text(row, cut_column);
      const auto [at, fresh] = cut_at.try_emplace(name, peak.cuts.size());
      if (fresh) peak.cuts.push_back({name, {}});
      const LayerIndex layer = LayerAt(table, row, layer_column);
      const std::int64_t elements = table.Integer(row, elements_column);
      if (elements < 0 || elements > 1'000'000'000'000'000) {
        throw Error(ErrorId::kCsvNumber,
                    fmt::format("got {} elements (allowed: 0 to 1e15)", elements))
            .At(table.LocationOf(row, elements_column));
      }
      Cut& cut = peak.cuts[at->second];
      for (const CutMember& member : cut.members) {
        if (member.layer != layer) continue;
        throw Error(ErrorId::kCsvDuplicateRow,
                    fmt::format("cut '{}' has layer '{}' twice", name, named_.layers[layer.value]))
            .At(table.LocationOf(row, layer_column))
            .Hint("give the sum of its elements in one row");
      }
      CutMember member;
      member.layer = layer;
      for (const BitChoice& choice : named_.choices[layer.value]) {
        member.cost.push_back(elements * choice.activation.bits());
      }
      cut.members.push_back(std::move(member));
    }
    for (const Resource& resource : named_.problem.resources) {
      if (resource.name != peak.name) continue;
      throw Error(ErrorId::kCsvDuplicateColumn, "a cost column has the name of the peak resource")
          .At({path, 0, 0})
          .Key(peak.name)
          .Hint("rename the column, or leave out --cuts");
    }
    named_.problem.resources.push_back(std::move(peak));
    named_.decimals.push_back(0);
  }

  struct RawEdge {
    std::size_t pair;
    std::size_t resource;
    std::vector<PlacedDecimal> cost;
  };

  const ProblemFiles& files_;
  NamedProblem named_;
  std::vector<RawResource> raw_;
  std::vector<RawEdge> raw_edges_;
};

/// Other names under which users look for the peak.
bool MeansPeak(std::string_view name) {
  return name == "peak_bits" || name == "peak_memory" || name == "peak" ||
         name == "peak_activation_bits";
}

}  // namespace

ResourceIndex NamedProblem::FindResource(std::string_view name) const {
  std::vector<std::string> names;
  for (std::size_t r = 0; r < problem.resources.size(); ++r) {
    const std::string& known = problem.resources[r].name;
    if (known == name || (known == kPeakResource && MeansPeak(name))) return ResourceIndex(r);
    names.push_back(known);
  }
  std::string all;
  for (const std::string& known : names) all += (all.empty() ? "" : ", ") + known;
  const std::string nearest = NearestName(name, names);
  throw Error(ErrorId::kResourceUnknown, fmt::format("no file has a resource '{}'", name))
      .Hint(names.empty()
                ? "give --latency, --cost or --cuts"
                : (nearest.empty() ? "" : "did you mean '" + nearest + "'? ") + ("known: " + all));
}

std::string NamedProblem::ValueText(ResourceIndex resource, std::int64_t value) const {
  return DecimalText(value, decimals[resource.value]);
}

std::string NamedProblem::WhyNothingIsLeft() const {
  std::vector<std::vector<std::uint8_t>> left;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    left.emplace_back(choices[l].size(), 1);
    if (problem.pins.empty() || !problem.pins[l]) continue;
    for (std::size_t c = 0; c < left[l].size(); ++c) left[l][c] = c == problem.pins[l]->value;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (const Tie& tie : problem.ties) {
      for (std::size_t i = 0; i < tie.layers.size(); ++i) {
        std::vector<std::uint8_t>& mine = left[tie.layers[i].value];
        for (std::size_t j = 0; j < tie.layers.size(); ++j) {
          const std::vector<std::uint8_t>& other = left[tie.layers[j].value];
          bool any = false;
          for (std::size_t c = 0; c < mine.size(); ++c) {
            bool shared = false;
            for (std::size_t d = 0; d < other.size(); ++d) {
              shared = shared || (other[d] && tie.label[i][c] == tie.label[j][d]);
            }
            if (mine[c] && !shared) {
              mine[c] = 0;
              changed = true;
            }
            any = any || mine[c];
          }
          if (!any) {
            return fmt::format("tie group '{}' leaves layer '{}' without a choice (beside '{}')",
                               tie.name, layers[tie.layers[i].value], layers[tie.layers[j].value]);
          }
        }
      }
    }
  }
  return "";
}

NamedProblem ProblemFromSensitivity(const SensitivityReport& report) {
  NamedProblem named;
  bool errors = false;
  for (const LayerSensitivity& layer : report.layers) {
    named.layers.push_back(layer.layer);
    named.choices.emplace_back();
    named.problem.loss.emplace_back();
    named.standard_error.emplace_back();
    for (const ChoiceSensitivity& entry : layer.choices) {
      named.choices.back().push_back(entry.choice);
      named.problem.loss.back().push_back(entry.loss_increase);
      named.standard_error.back().push_back(entry.standard_error.value_or(0.0));
      errors = errors || entry.standard_error.has_value();
    }
  }
  if (!errors) named.standard_error.clear();
  return named;
}

NamedProblem ReadProblem(const ProblemFiles& files) { return Reader(files).Run(); }

void AddLimit(std::string_view limit, NamedProblem* problem) {
  const std::size_t equals = limit.find('=');
  if (equals == std::string_view::npos) {
    throw Error(ErrorId::kLimitValue, fmt::format("got --limit '{}' (allowed: NAME=VALUE)", limit))
        .Hint("for example --limit latency_us=900");
  }
  const ResourceIndex resource = problem->FindResource(limit.substr(0, equals));
  const std::string_view value = limit.substr(equals + 1);
  const auto units = FloorToGrid(value, problem->decimals[resource.value]);
  if (!units) {
    throw Error(ErrorId::kLimitValue,
                fmt::format("got --limit '{}': '{}' is no number, or too large", limit, value))
        .Hint("write a decimal number, such as 900 or 812.5");
  }
  std::optional<std::int64_t>& target = problem->problem.resources[resource.value].limit;
  if (target) {
    throw Error(ErrorId::kLimitTwice, fmt::format("'{}' is limited twice",
                                                  problem->problem.resources[resource.value].name))
        .Hint("keep the smaller limit");
  }
  target = *units;
}

void AddPin(std::string_view pin, NamedProblem* problem) {
  const std::size_t equals = pin.rfind('=');
  const std::size_t comma = equals == std::string_view::npos ? equals : pin.find(',', equals);
  if (comma == std::string_view::npos) {
    throw Error(ErrorId::kPinValue, fmt::format("got --pin '{}' (allowed: GLOB=W,A)", pin))
        .Hint("for example --pin 'layer4.*=8,8'");
  }
  const std::string glob(pin.substr(0, equals));
  const auto weight = NumberFormat::Parse(pin.substr(equals + 1, comma - equals - 1));
  const auto activation = NumberFormat::Parse(pin.substr(comma + 1));
  if (!weight || !activation) {
    throw Error(ErrorId::kPinValue, fmt::format("got --pin '{}': the bits cannot be read", pin))
        .Hint("allowed: 1 to 16, ternary, fp16, bf16, fp32, 0");
  }
  const BitChoice wanted{*weight, *activation};
  std::vector<std::optional<ChoiceIndex>>& pins = problem->problem.pins;
  pins.resize(problem->layers.size());
  bool any = false;
  for (std::size_t l = 0; l < problem->layers.size(); ++l) {
    if (fnmatch(glob.c_str(), problem->layers[l].c_str(), 0) != 0) continue;
    any = true;
    const auto& list = problem->choices[l];
    const auto at = std::find(list.begin(), list.end(), wanted);
    if (at == list.end()) {
      std::string all;
      for (const BitChoice& choice : list) all += (all.empty() ? "" : ", ") + choice.ToString();
      throw Error(ErrorId::kPinValue, fmt::format("--pin '{}': layer '{}' has no choice {}", pin,
                                                  problem->layers[l], wanted.ToString()))
          .Hint("its choices: " + all);
    }
    const ChoiceIndex choice(static_cast<std::size_t>(at - list.begin()));
    if (pins[l] && *pins[l] != choice) {
      throw Error(ErrorId::kPinValue,
                  fmt::format("--pin '{}': layer '{}' is pinned to {} already", pin,
                              problem->layers[l], list[pins[l]->value].ToString()))
          .Hint("give each layer one pin");
    }
    pins[l] = choice;
  }
  if (!any) {
    const std::string nearest = NearestName(glob, problem->layers);
    throw Error(ErrorId::kPinValue, fmt::format("--pin '{}' matches no layer", pin))
        .Hint(nearest.empty() ? "patterns are shell globs over layer names"
                              : "did you mean '" + nearest + "'?");
  }
}

}  // namespace bitsearch
