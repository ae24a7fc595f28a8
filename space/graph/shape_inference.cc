// Two walks with concrete numbers instead of algebra on symbols; see the header.
// Must not depend on ONNX's types nor on LibTorch.
#include "space/graph/shape_inference.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include "space/graph/constant_folding.h"
#include "space/graph/operators.h"

namespace bitsearch {
namespace {

/// Values of computed tensors are followed up to this many elements (shapes, indices, sizes).
constexpr std::int64_t kMostFollowedElements = 4096;

/// Both divide by 8, so that networks that split or regroup the batch accept them.
constexpr std::array<std::int64_t, 2> kBatchProbes = {16, 24};
/// Pairs to try for the other symbols: image sizes that pooling and up-sampling divide evenly.
constexpr std::array<std::array<std::int64_t, 2>, 3> kExtentProbes = {
    {{224, 256}, {64, 96}, {512, 640}}};

using Facts = std::vector<TensorFact>;
constexpr std::string_view kBatchSymbol = "";

/// The symbols of the graph's inputs, one name per axis; known extents have no symbol.
struct SymbolicInputs {
  std::vector<std::optional<Shape>> shapes;       ///< −1 where a symbol stands.
  std::vector<std::vector<std::string>> symbols;  ///< kBatchSymbol for the batch.
  bool has_batch = false;
  bool has_others = false;
};

SymbolicInputs ReadInputs(const LayerGraph& graph, const InferenceOptions& options) {
  SymbolicInputs result;
  std::string batch_name;
  for (const TensorIndex input : graph.inputs()) {
    const Tensor& tensor = graph.tensor(input);
    const auto given = options.input_shapes.find(tensor.name);
    if (!tensor.shape && given == options.input_shapes.end()) {
      result.shapes.emplace_back();
      result.symbols.emplace_back();
      continue;
    }
    Shape shape =
        tensor.shape.value_or(given != options.input_shapes.end() ? given->second : Shape{});
    if (given != options.input_shapes.end()) {
      bool fits = given->second.size() == shape.size();
      for (std::size_t i = 0; fits && i < shape.size(); ++i) {
        fits = shape[i] < 0 || given->second[i] < 0 || shape[i] == given->second[i];
      }
      if (!fits) {
        throw Error(ErrorId::kModelShape, "the shape " + ToString(given->second) +
                                              " was asked for, but the model declares " +
                                              ToString(shape))
            .Key(tensor.name)
            .Hint("only extents that the model leaves open can be given");
      }
      for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] < 0) shape[i] = given->second[i];
      }
    }
    for (const std::int64_t extent : shape) {
      if (extent <= kLargestExtent) continue;
      throw Error(ErrorId::kModelShape, "the input declares an extent of " + std::to_string(extent))
          .Key(tensor.name)
          .Hint("no tensor can be that large; the model file is damaged");
    }
    std::vector<std::string> names(shape.size());
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] >= 0) continue;
      const std::string declared = i < tensor.extent_names.size() ? tensor.extent_names[i] : "";
      if (i == 0) {
        if (batch_name.empty()) batch_name = declared;
        names[i] = kBatchSymbol;
      } else {
        names[i] = declared.empty() ? tensor.name + "[" + std::to_string(i) + "]" : declared;
      }
    }
    result.shapes.push_back(std::move(shape));
    result.symbols.push_back(std::move(names));
  }
  for (std::size_t k = 0; k < result.shapes.size(); ++k) {
    if (!result.shapes[k]) continue;
    for (std::size_t i = 0; i < result.shapes[k]->size(); ++i) {
      if ((*result.shapes[k])[i] >= 0) continue;
      std::string& name = result.symbols[k][i];
      if (!batch_name.empty() && name == batch_name) name = kBatchSymbol;
      (name == kBatchSymbol ? result.has_batch : result.has_others) = true;
    }
  }
  return result;
}

/// Facts about the inputs and constants; symbols replaced by the two numbers.
Facts Start(const LayerGraph& graph, const SymbolicInputs& inputs, std::int64_t batch,
            std::optional<std::int64_t> extent) {
  Facts facts(graph.tensors().size());
  for (std::size_t t = 0; t < facts.size(); ++t) {
    const Tensor& tensor = graph.tensors()[t];
    facts[t].type = tensor.type;
    if (!tensor.constant) continue;
    facts[t].shape = tensor.constant->shape();
    facts[t].value = tensor.constant;
  }
  for (std::size_t k = 0; k < graph.inputs().size(); ++k) {
    if (!inputs.shapes[k]) continue;
    Shape shape = *inputs.shapes[k];
    bool known = true;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] >= 0) continue;
      const bool is_batch = inputs.symbols[k][i] == kBatchSymbol;
      known &= is_batch || extent.has_value();
      shape[i] = is_batch ? batch : extent.value_or(-1);
    }
    if (known) facts[graph.inputs()[k].value].shape = std::move(shape);
  }
  return facts;
}

/// Computes the values of small outputs whose inputs' values are known.
void FollowValues(const OperatorInfo& row, OperatorContext& context) {
  if (row.fold == nullptr) return;
  for (const TensorFact& output : context.outputs()) {
    if (!output.shape || ElementCount(*output.shape) > kMostFollowedElements) return;
  }
  std::vector<TensorValue> values;
  try {
    values = row.fold(context);
  } catch (const UnknownUntilRun&) {
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    context.outputs()[i].value = std::move(values[i]);
  }
}

/// One walk over the graph with concrete numbers.
void Walk(const LayerGraph& graph, Facts& facts) {
  for (const Node& node : graph.nodes()) {
    const OperatorInfo& row = RequireOperator(node, graph.opset);
    std::vector<const TensorFact*> inputs;
    for (const auto& input : node.inputs) {
      inputs.push_back(input ? &facts[input->value] : nullptr);
    }
    OperatorContext context(node, graph.opset, inputs);
    try {
      row.shape(context);
      FollowValues(row, context);
    } catch (const UnknownUntilRun&) {
      // The outputs stay open.
    } catch (Error& error) {
      if (error.key().empty()) error.Key(node.id);
      throw;
    }
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      facts[node.outputs[i].value] = std::move(context.outputs()[i]);
    }
  }
}

struct Walks {
  Facts first;
  Facts second;
  bool extents_known = true;
};

Walks WalkTwice(const LayerGraph& graph, const SymbolicInputs& inputs) {
  const auto walk = [&](std::size_t which, std::optional<std::int64_t> extent) {
    Facts facts = Start(graph, inputs, kBatchProbes[which], extent);
    Walk(graph, facts);
    return facts;
  };
  if (!inputs.has_others) {
    Facts first = walk(0, 1);
    if (!inputs.has_batch) return {first, first, true};
    return {std::move(first), walk(1, 1), true};
  }
  std::set<std::string> complaints;
  for (const std::array<std::int64_t, 2>& extents : kExtentProbes) {
    try {
      return {walk(0, extents[0]), walk(1, extents[1]), false};
    } catch (const Error& error) {
      if (error.id() != ErrorId::kModelShape) throw;
      complaints.insert(error.what());
      // The same words for every size: it is not the guess that is wrong, but the network.
      if (&extents == &kExtentProbes.back() && complaints.size() == 1) throw;
    }
  }
  return {walk(0, std::nullopt), walk(1, std::nullopt), false};
}

/// What both walks agree on; −1 elsewhere.
std::optional<Shape> Agreed(const TensorFact& a, const TensorFact& b) {
  if (!a.shape || !b.shape || a.shape->size() != b.shape->size()) return std::nullopt;
  Shape shape = *a.shape;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != (*b.shape)[i]) shape[i] = -1;
  }
  return shape;
}

/// The shape at batch 1: extents are linear in the batch, so two walks tell the line.
std::optional<Shape> AtBatchOne(const TensorFact& a, const TensorFact& b) {
  if (!a.shape || !b.shape || a.shape->size() != b.shape->size()) return std::nullopt;
  Shape shape = *a.shape;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t rise = (*b.shape)[i] - shape[i];
    const std::int64_t run = kBatchProbes[1] - kBatchProbes[0];
    if (rise % run != 0) return std::nullopt;
    shape[i] -= rise / run * (kBatchProbes[0] - 1);
    if (shape[i] < 0) return std::nullopt;
  }
  return shape;
}

bool SameValue(const TensorValue& a, const TensorValue& b) {
  return a.type() == b.type() && a.shape() == b.shape() &&
         std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin(), b.bytes().end());
}

}  // namespace

void InferShapes(LayerGraph& graph, const InferenceOptions& options) {
  const SymbolicInputs inputs = ReadInputs(graph, options);
  Walks walks = WalkTwice(graph, inputs);
  for (std::size_t k = 0; k < graph.inputs().size(); ++k) {
    const TensorIndex input = graph.inputs()[k];
    graph.SetShape(input, inputs.shapes[k], graph.tensor(input).type);
    graph.SetSampleShape(input, std::nullopt);
  }
  const std::size_t count = graph.tensors().size();
  for (std::size_t t = 0; t < count; ++t) {
    const TensorIndex tensor(t);
    if (graph.tensor(tensor).constant) continue;
    const TensorFact& a = walks.first[t];
    const TensorFact& b = walks.second[t];
    if (graph.producer(tensor)) {
      if (a.value && b.value && SameValue(*a.value, *b.value)) {
        graph.SetConstant(tensor, *a.value);
        continue;
      }
      graph.SetShape(tensor, Agreed(a, b), a.type);
    }
    graph.SetSampleShape(tensor, walks.extents_known ? AtBatchOne(a, b) : std::nullopt);
  }
  RemoveUnreadNodes(graph);
}

}  // namespace bitsearch
