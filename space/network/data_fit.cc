// Extents and labels against the graph's first input and output.
#include "space/network/data_fit.h"

#include <algorithm>
#include <optional>
#include <string>

#include "space/support/error.h"

namespace bitsearch {

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
