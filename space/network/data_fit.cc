// Extents and labels against the graph's first input and output.
#include "space/network/data_fit.h"

#include <algorithm>
#include <optional>
#include <string>

#include "space/graph/onnx_reader.h"
#include "space/support/error.h"

namespace bitsearch {

bool LeavesExtentsOpen(const LayerGraph& graph) {
  if (graph.inputs().empty()) return false;
  const std::optional<Shape>& shape = graph.tensor(graph.inputs().front()).shape;
  return shape && shape->size() > 1 &&
         std::any_of(shape->begin() + 1, shape->end(), [](std::int64_t n) { return n < 0; });
}

LayerGraph ReadOnnxFor(const std::filesystem::path& model, const Shape& record) {
  LayerGraph graph = ReadOnnx(model);
  if (!LeavesExtentsOpen(graph)) return graph;
  const Tensor& input = graph.tensor(graph.inputs().front());
  // Records of another rank or other fixed extents are RequireFit's to refuse.
  if (input.shape->size() != record.size() + 1) return graph;
  Shape shape = *input.shape;
  for (std::size_t i = 0; i < record.size(); ++i) {
    if (shape[i + 1] < 0) shape[i + 1] = record[i];
  }
  return ReadOnnx(model, {{{input.name, shape}}});
}

void RequireFit(const LayerGraph& graph, const Dataset& data) {
  if (graph.inputs().empty() || graph.outputs().empty()) return;
  const std::optional<Shape>& input = graph.tensor(graph.inputs().front()).shape;
  const Shape& record = data.shape();
  bool fits = true;
  if (input) {
    fits = input->size() == record.size() + 1;
    for (std::size_t i = 0; fits && i < record.size(); ++i) {
      fits = (*input)[i + 1] < 0 || (*input)[i + 1] == record[i];
    }
  }
  if (!fits) {
    throw Error(ErrorId::kDataFormat, "the records have shape " + ToString(record) +
                                          ", the network takes a batch of shape " +
                                          ToString(*input))
        .Hint("are these the data of this network?");
  }
  const std::optional<Shape>& output = graph.tensor(graph.outputs().front()).shape;
  if (!output || !GivesClasses(graph) || output->back() < 0 || !data.labelled()) return;
  const int largest = *std::max_element(data.labels().begin(), data.labels().end());
  if (largest < output->back()) return;
  throw Error(ErrorId::kDataLabel, "the data hold label " + std::to_string(largest) +
                                       ", the network has " + std::to_string(output->back()) +
                                       " outputs")
      .Hint("are these the data of this network? labels count from 0");
}

bool GivesClasses(const LayerGraph& graph) {
  if (graph.outputs().empty()) return false;
  const std::optional<Shape>& output = graph.tensor(graph.outputs().front()).shape;
  return !output || output->size() == 2;
}

void RequireAccuracy(const LayerGraph& graph, const Dataset& data) {
  RequireFit(graph, data);
  data.RequireLabels();
  if (GivesClasses(graph)) return;
  throw Error(ErrorId::kDataLabel,
              "accuracy needs an output of N × classes, the network's first one has shape " +
                  ToString(*graph.tensor(graph.outputs().front()).shape))
      .Hint(
          "without classes: calibration, sensitivity --method output-mse, export and its "
          "--verify");
}

}  // namespace bitsearch
