// Liveness of activations. See memory_cuts.h.
#include "space/hardware/memory_cuts.h"

#include <algorithm>
#include <map>
#include <optional>

#include "space/hardware/latency_csv.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kFloatBits = 32;

/// A value kept in memory: a layer's output (with what is fused behind it) or a graph input.
struct Value {
  std::int64_t elements = 0;
  std::size_t born = 0;                  ///< Node that makes it; 0 for graph inputs.
  std::size_t last_use = 0;              ///< Last node that reads it.
  std::optional<LayerIndex> read_first;  ///< First layer that reads it.
};

std::int64_t Elements(const LayerGraph& graph, TensorIndex index) {
  const Tensor& tensor = graph.tensor(index);
  const std::int64_t elements = tensor.sample_shape ? ElementCount(*tensor.sample_shape) : -1;
  if (elements >= 0) return elements;
  throw Error(ErrorId::kLayerShape, "the shape of this tensor is unknown")
      .Key(tensor.name)
      .Hint(
          "costs need fixed shapes: give --shape, or a model with fixed extents (the batch may be "
          "free)");
}

/// Assigns every non-constant tensor to the stored value it lives in.
class Liveness {
 public:
  explicit Liveness(const LayerGraph& graph)
      : graph_(graph), value_of_(graph.tensors().size()), layer_of_(graph.nodes().size()) {
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      layer_of_[graph.layers()[l].node.value] = LayerIndex(l);
    }
    for (const TensorIndex input : graph.inputs()) {
      if (!graph.tensor(input).constant) NewValue(input, 0);
    }
    for (std::size_t n = 0; n < graph.nodes().size(); ++n) Visit(n);
    for (const TensorIndex output : graph.outputs()) {
      if (value_of_[output.value]) {
        values_[*value_of_[output.value]].last_use = graph.nodes().size();
      }
    }
    InheritReaders();
  }

  const std::vector<Value>& values() const { return values_; }

 private:
  void NewValue(TensorIndex tensor, std::size_t node) {
    value_of_[tensor.value] = values_.size();
    values_.push_back({Elements(graph_, tensor), node, node, std::nullopt});
    successor_.push_back(std::nullopt);
  }

  void Visit(std::size_t n) {
    const Node& node = graph_.nodes()[n];
    if (node.op == "Shape" || node.op == "Size") return;
    std::vector<std::size_t> inputs;
    for (const std::optional<TensorIndex>& input : node.inputs) {
      if (input && value_of_[input->value]) inputs.push_back(*value_of_[input->value]);
    }
    if (inputs.empty() && !layer_of_[n]) return;  // Works on constants only.
    for (const std::size_t value : inputs) {
      values_[value].last_use = n;
      if (layer_of_[n] && !values_[value].read_first) values_[value].read_first = layer_of_[n];
    }
    for (std::size_t o = 0; o < node.outputs.size(); ++o) {
      const TensorIndex output = node.outputs[o];
      if (const auto in_place = InPlace(n, inputs, output)) {
        value_of_[output.value] = *in_place;
        for (const std::size_t value : inputs) {
          if (value != *in_place && !successor_[value]) successor_[value] = *in_place;
        }
        continue;
      }
      NewValue(output, n);
      for (const std::size_t value : inputs) {
        if (!successor_[value]) successor_[value] = values_.size() - 1;
      }
    }
  }

  /// An operator between layers overwrites an input of its output's size that nobody reads later.
  std::optional<std::size_t> InPlace(std::size_t n, const std::vector<std::size_t>& inputs,
                                     TensorIndex output) const {
    if (layer_of_[n]) return std::nullopt;
    for (auto value = inputs.rbegin(); value != inputs.rend(); ++value) {
      if (values_[*value].elements != Elements(graph_, output)) continue;
      bool read_later = false;
      for (std::size_t t = 0; t < value_of_.size(); ++t) {
        if (value_of_[t] != *value) continue;
        for (const NodeIndex consumer : graph_.Consumers(TensorIndex(t))) {
          read_later = read_later || consumer.value > n;
        }
        const auto& outputs = graph_.outputs();
        read_later = read_later ||
                     std::find(outputs.begin(), outputs.end(), TensorIndex(t)) != outputs.end();
      }
      if (!read_later) return *value;
    }
    return std::nullopt;
  }

  /// A value that no layer reads itself (it is pooled, added, …) has the bits of what it turns
  /// into.
  void InheritReaders() {
    for (std::size_t v = 0; v < values_.size(); ++v) {
      std::optional<std::size_t> next = successor_[v];
      // Two values may be merged into each other in turn: no chain is longer than the values.
      for (std::size_t step = 0; step < values_.size() && next && !values_[v].read_first; ++step) {
        values_[v].read_first = values_[*next].read_first;
        next = successor_[*next];
      }
    }
  }

  const LayerGraph& graph_;
  std::vector<std::optional<std::size_t>> value_of_;
  std::vector<std::optional<LayerIndex>> layer_of_;
  std::vector<Value> values_;
  std::vector<std::optional<std::size_t>> successor_;
};

/// True if `a` never exceeds `b`.
bool Within(const MemoryCut& a, const MemoryCut& b) {
  if (a.fixed_bits > b.fixed_bits) return false;
  for (const MemoryCut::Term& term : a.terms) {
    const auto other = std::find_if(b.terms.begin(), b.terms.end(),
                                    [&](const auto& t) { return t.layer == term.layer; });
    if (other == b.terms.end() || other->elements < term.elements) return false;
  }
  return true;
}

}  // namespace

std::vector<MemoryCut> MemoryCuts(const LayerGraph& graph) {
  const Liveness liveness(graph);
  std::vector<MemoryCut> cuts;
  for (const Layer& layer : graph.layers()) {
    const std::size_t at = layer.node.value;
    MemoryCut cut{layer.id, {}, 0};
    std::map<LayerIndex, std::int64_t> elements;
    for (const Value& value : liveness.values()) {
      if (value.born > at || value.last_use < at) continue;
      if (value.read_first) {
        elements[*value.read_first] += value.elements;
      } else {
        cut.fixed_bits += kFloatBits * value.elements;
      }
    }
    for (const auto& [reader, count] : elements) cut.terms.push_back({reader, count});
    cuts.push_back(std::move(cut));
  }
  std::vector<MemoryCut> kept;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    bool dominated = false;
    for (std::size_t j = 0; j < cuts.size() && !dominated; ++j) {
      // Of equal cuts the first stays.
      dominated = i != j && Within(cuts[i], cuts[j]) && (!Within(cuts[j], cuts[i]) || j < i);
    }
    if (!dominated) kept.push_back(cuts[i]);
  }
  return kept;
}

std::int64_t PeakActivationBits(const std::vector<MemoryCut>& cuts, const BitConfig& config) {
  std::int64_t peak = 0;
  for (const MemoryCut& cut : cuts) {
    std::int64_t bits = cut.fixed_bits;
    for (const MemoryCut::Term& term : cut.terms) {
      bits += term.elements * config.choices.at(term.layer.value).activation.bits();
    }
    peak = std::max(peak, bits);
  }
  return peak;
}

std::string CutsCsvText(const LayerGraph& graph, const std::vector<MemoryCut>& cuts) {
  std::string text;
  for (const MemoryCut& cut : cuts) {
    if (cut.fixed_bits > 0) {
      text += "# fixed_bits " + cut.name + ": " + std::to_string(cut.fixed_bits) + "\n";
    }
  }
  text += "cut,layer,elements\n";
  for (const MemoryCut& cut : cuts) {
    for (const MemoryCut::Term& term : cut.terms) {
      text += CsvCell(cut.name) + "," + CsvCell(graph.layer(term.layer).id) + "," +
              std::to_string(term.elements) + "\n";
    }
  }
  return text;
}

}  // namespace bitsearch
