// The CSV files of a problem other than its plain resource columns, limits and pins.
#include "experiments/problem_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "experiments/problem_columns.h"
#include "experiments/transitions_file.h"
#include "space/support/csv.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

std::string ListOf(const std::vector<BitChoice>& choices) {
  std::string all;
  for (const BitChoice& choice : choices) all += (all.empty() ? "" : ", ") + choice.ToString();
  return all;
}

class Reader {
 public:
  explicit Reader(const ProblemFiles& files) : files_(files) {}

  NamedProblem Run() {
    named_ = ProblemFromSensitivity(ReadSensitivityCsv(files_.sensitivity));
    CheckLosses(files_.sensitivity);
    if (files_.latency) AddColumns(*files_.latency);
    if (files_.cost) AddColumns(*files_.cost);
    std::vector<TransitionEdge> edges;
    if (files_.transitions) edges = ReadTransitionsCsv(*files_.transitions, named_, &raw_);
    ScaleResources();
    for (TransitionEdge& edge : edges) AddEdge(std::move(edge));
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
    return ::bitsearch::LayerAt(table, row, column, named_.layers);
  }

  /// `choice` of `layer`, which the row names in `column`.
  std::size_t ChoiceAt(const CsvTable& table, const CsvRow& row, std::size_t column,
                       LayerIndex layer, const BitChoice& choice) const {
    const auto& list = named_.choices[layer.value];
    const auto at = std::find(list.begin(), list.end(), choice);
    if (at != list.end()) return static_cast<std::size_t>(at - list.begin());
    throw Error(ErrorId::kPairInvalid, fmt::format("layer '{}' has no choice {}",
                                                   named_.layers[layer.value], choice.ToString()))
        .At(table.LocationOf(row, column))
        .Hint("its choices are those of the sensitivity file: " + ListOf(list));
  }

  /// Sums of losses must stay within the range of doubles.
  static void CheckLoss(const CsvTable& table, const CsvRow& row, std::size_t column) {
    if (std::abs(table.Number(row, column)) <= AssignmentProblem::kLargestLossTotal) return;
    throw Error(ErrorId::kCsvNumber,
                fmt::format("got {}, allowed {:g} in size at most", table.Text(row, column),
                            AssignmentProblem::kLargestLossTotal))
        .At(table.LocationOf(row, column))
        .Key("loss_increase")
        .Hint("to rule a choice out, leave its row out");
  }

  static void CheckLosses(const std::string& path) {
    const CsvTable table = CsvTable::Read(path);
    table.ForEachRow(
        [&](const CsvRow& row) { CheckLoss(table, row, table.Column("loss_increase")); });
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
  }

  void AddEdge(TransitionEdge edge) {
    PairTerm term;
    term.first = edge.producer;
    term.second = edge.consumer;
    term.loss = std::move(edge.loss);
    for (const auto& [resource, values] : edge.cost) {
      std::vector<std::int64_t> cost;
      for (const PlacedDecimal& value : values) {
        cost.push_back(ScaleTo(value.value, raw_[resource].decimals, value.where));
      }
      term.cost.emplace_back(ResourceIndex(resource), std::move(cost));
    }
    named_.problem.pairs.push_back(std::move(term));
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
      SourceLocation where;
      std::vector<LayerIndex> layers;
    };
    std::vector<std::string> order;
    std::map<std::string, Group> groups;
    table.ForEachRow([&](const CsvRow& row) {
      std::string kind = what ? table.Text(row, *what) : "both";
      if (kind.empty()) kind = "both";
      if (kind != "both" && kind != "weight" && kind != "activation") {
        throw Error(ErrorId::kTieKind,
                    fmt::format("got '{}' (allowed: both, weight, activation)", kind))
            .At(table.LocationOf(row, *what));
      }
      const std::string& name = table.Text(row, group);
      const auto [at, fresh] =
          groups.try_emplace(name, Group{kind, table.LocationOf(row, group), {}});
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
    });
    for (const std::string& name : order) {
      const Group& of_name = groups[name];
      if (of_name.layers.size() < 2) {
        throw Error(ErrorId::kTieKind, fmt::format("group '{}' holds one layer only, '{}'", name,
                                                   named_.layers[of_name.layers.front().value]))
            .At(of_name.where)
            .Hint("add the layers that it is tied to (is a group's name misspelt?), or remove it");
      }
      AddTie(name, of_name.what, of_name.layers);
    }
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
    PairLosses losses(&named_);
    auto pair = pairs.begin();
    table.ForEachRow([&](const CsvRow& row) {
      const PairSensitivity& read = *pair++;
      const LayerIndex a = LayerAt(table, row, table.Column("layer_a"));
      const LayerIndex b = LayerAt(table, row, table.Column("layer_b"));
      CheckLoss(table, row, table.Column("loss_increase"));
      if (a == b) {
        throw Error(ErrorId::kPairInvalid, "a pair term joins a layer to itself")
            .At(table.LocationOf(row, table.Column("layer_b")))
            .Hint("what a layer costs alone belongs in the sensitivity file");
      }
      const std::size_t first =
          ChoiceAt(table, row, table.Column("weight_bits_a"), a, read.choice_a);
      const std::size_t second =
          ChoiceAt(table, row, table.Column("weight_bits_b"), b, read.choice_b);
      if (!losses.Add({a, first}, {b, second}, read.loss_increase)) {
        throw Error(ErrorId::kCsvDuplicateRow, "the pair of choices is given twice")
            .At(table.LocationOf(row, table.Column("layer_a")))
            .Hint("the order of the two layers does not matter: keep one of the rows");
      }
    });
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
    table.ForEachRow([&](const CsvRow& row) {
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
    });
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

  const ProblemFiles& files_;
  NamedProblem named_;
  std::vector<RawResource> raw_;
};

}  // namespace

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

}  // namespace bitsearch
