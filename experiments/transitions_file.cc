// Rows by edge first, matrices of all choices when the edges are known.
#include "experiments/transitions_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "space/support/csv.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using Bits = std::pair<NumberFormat, NumberFormat>;

/// What the rows say of one edge.
struct EdgeRows {
  LayerIndex producer;
  LayerIndex consumer;
  std::map<Bits, const CsvRow*> rows;
};

class TransitionsReader {
 public:
  TransitionsReader(const std::string& path, const NamedProblem& named,
                    std::vector<RawResource>* resources)
      : table_(CsvTable::Read(path)),
        named_(named),
        resources_(*resources),
        producer_(table_.Column("producer")),
        consumer_(table_.Column("consumer")),
        from_(table_.Column("from_bits")),
        to_(table_.Column("to_bits")) {}

  std::vector<TransitionEdge> Run() {
    FindColumns();
    table_.ForEachRow([&](const CsvRow& row) { ReadRow(row); });
    std::vector<TransitionEdge> edges;
    for (const EdgeRows& edge : edges_) edges.push_back(MatricesOf(edge));
    return edges;
  }

 private:
  void FindColumns() {
    std::vector<std::string> known = {"producer", "consumer", "from_bits", "to_bits",
                                      "loss_increase"};
    std::string costs = "loss_increase";
    for (const RawResource& resource : resources_) {
      known.push_back(resource.name);
      costs += ", " + resource.name;
    }
    for (std::size_t c = 0; c < table_.header().size(); ++c) {
      const std::string& name = table_.header()[c];
      if (IsMeasurementColumn(name)) known.push_back(name);
      if (name == "loss_increase") loss_column_ = c;
      for (std::size_t r = 0; r < resources_.size(); ++r) {
        if (resources_[r].name == name) cost_columns_.emplace_back(c, r);
      }
    }
    table_.AllowOnly(known);
    if (loss_column_ || !cost_columns_.empty()) return;
    throw Error(ErrorId::kCsvMissingColumn, "no column says what a change of precision costs")
        .At({table_.path(), 0, 0})
        .Hint("add one of: " + costs);
  }

  void ReadRow(const CsvRow& row) {
    const LayerIndex a = LayerAt(table_, row, producer_, named_.layers);
    const LayerIndex b = LayerAt(table_, row, consumer_, named_.layers);
    if (a == b) {
      throw Error(ErrorId::kPairInvalid, "an edge joins a layer to itself")
          .At(table_.LocationOf(row, consumer_))
          .Hint("name the layer that reads the producer's output, or remove the row");
    }
    if (!edge_at_.contains({a, b})) CheckNoCycle(row, a, b);
    const auto [at, fresh] = edge_at_.try_emplace({a, b}, edges_.size());
    if (fresh) {
      edges_.push_back({a, b, {}});
      consumers_[a].push_back(b);
    }
    const Bits bits{BitsAt(row, from_, a), BitsAt(row, to_, b)};
    for (const auto& [column, resource] : cost_columns_) CheckCost(row, column);
    const auto [first, added] = edges_[at->second].rows.try_emplace(bits, &row);
    if (added) return;
    throw Error(ErrorId::kCsvDuplicateRow,
                fmt::format("the edge has these bits twice, first in line {}", first->second->line))
        .At(table_.LocationOf(row, from_))
        .Hint("keep one row for each edge and pair of bits");
  }

  /// A network's edges lead from its inputs to its outputs.
  void CheckNoCycle(const CsvRow& row, LayerIndex a, LayerIndex b) const {
    std::vector<LayerIndex> way = {b};
    std::map<LayerIndex, bool> seen;
    if (!Reaches(a, &way, &seen)) return;
    std::string cycle = named_.layers[a.value];
    for (LayerIndex layer : way) cycle += " → " + named_.layers[layer.value];
    throw Error(ErrorId::kPairInvalid, "the edges form a cycle: " + cycle)
        .At(table_.LocationOf(row, producer_))
        .Hint("an edge leads from the layer that makes a tensor to one that reads it");
  }

  /// Whether `goal` can be reached from the end of `way`, which then leads to it.
  bool Reaches(LayerIndex goal, std::vector<LayerIndex>* way,
               std::map<LayerIndex, bool>* seen) const {
    const LayerIndex here = way->back();
    if (here == goal) return true;
    const auto onward = consumers_.find(here);
    if (onward == consumers_.end() || !seen->try_emplace(here, true).second) return false;
    for (LayerIndex next : onward->second) {
      way->push_back(next);
      if (Reaches(goal, way, seen)) return true;
      way->pop_back();
    }
    return false;
  }

  NumberFormat BitsAt(const CsvRow& row, std::size_t column, LayerIndex layer) const {
    const NumberFormat bits = FormatAt(table_, row, column);
    std::vector<std::string> known;
    for (const BitChoice& choice : named_.choices[layer.value]) {
      if (choice.activation == bits) return bits;
      const std::string text = choice.activation.ToString();
      if (std::find(known.begin(), known.end(), text) == known.end()) known.push_back(text);
    }
    std::string all;
    for (const std::string& text : known) all += (all.empty() ? "" : ", ") + text;
    throw Error(ErrorId::kPairInvalid, fmt::format("layer '{}' has no choice of {} activation bits",
                                                   named_.layers[layer.value], bits.ToString()))
        .At(table_.LocationOf(row, column))
        .Hint("its activation bits in the sensitivity file: " + all);
  }

  void CheckCost(const CsvRow& row, std::size_t column) const {
    const SourceLocation where = table_.LocationOf(row, column);
    if (ParseDecimal(table_.Text(row, column), where).unscaled >= 0) return;
    throw Error(ErrorId::kCsvNumber,
                fmt::format("got {}, allowed 0 or more", table_.Text(row, column)))
        .At(where)
        .Key(table_.header()[column])
        .Hint("changing precision takes work: it cannot save any");
  }

  TransitionEdge MatricesOf(const EdgeRows& edge) {
    TransitionEdge result{edge.producer, edge.consumer, {}, {}};
    for (const auto& [column, resource] : cost_columns_) {
      result.cost.emplace_back(resource, std::vector<PlacedDecimal>());
    }
    for (const BitChoice& from : named_.choices[edge.producer.value]) {
      for (const BitChoice& to : named_.choices[edge.consumer.value]) {
        AddEntry(edge, from.activation, to.activation, &result);
      }
    }
    return result;
  }

  void AddEntry(const EdgeRows& edge, NumberFormat from, NumberFormat to, TransitionEdge* result) {
    const auto row = edge.rows.find({from, to});
    const bool given = row != edge.rows.end();
    if (!given && from != to) {
      throw Error(ErrorId::kTransitionMissing,
                  fmt::format("no row for the edge '{}' → '{}' from {} to {} bits",
                              named_.layers[edge.producer.value],
                              named_.layers[edge.consumer.value], from.ToString(), to.ToString()))
          .At({table_.path(), 0, 0})
          .Hint("only rows with equal bits may be left out (they cost 0)");
    }
    if (loss_column_) {
      result->loss.push_back(given ? table_.Number(*row->second, *loss_column_) : 0.0);
    }
    for (std::size_t i = 0; i < cost_columns_.size(); ++i) {
      PlacedDecimal value;
      if (given) {
        value.where = table_.LocationOf(*row->second, cost_columns_[i].first);
        value.value = ParseDecimal(table_.Text(*row->second, cost_columns_[i].first), value.where);
      }
      resources_[cost_columns_[i].second].Note(value);
      result->cost[i].second.push_back(std::move(value));
    }
  }

  const CsvTable table_;
  const NamedProblem& named_;
  std::vector<RawResource>& resources_;
  std::size_t producer_;
  std::size_t consumer_;
  std::size_t from_;
  std::size_t to_;
  std::optional<std::size_t> loss_column_;
  std::vector<std::pair<std::size_t, std::size_t>> cost_columns_;  // column, index of the resource
  std::vector<EdgeRows> edges_;
  std::map<std::pair<LayerIndex, LayerIndex>, std::size_t> edge_at_;
  std::map<LayerIndex, std::vector<LayerIndex>> consumers_;
};

}  // namespace

std::vector<TransitionEdge> ReadTransitionsCsv(const std::string& path, const NamedProblem& named,
                                               std::vector<RawResource>* resources) {
  return TransitionsReader(path, named, resources).Run();
}

}  // namespace bitsearch
