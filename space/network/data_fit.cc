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
  const Shape images = {data.channels(), data.height(), data.width()};
  bool fits = true;
  if (input) {
    fits = input->size() == images.size() + 1;
    for (std::size_t i = 0; fits && i < images.size(); ++i) {
      fits = (*input)[i + 1] < 0 || (*input)[i + 1] == images[i];
    }
  }
  if (!fits) {
    throw Error(ErrorId::kDataFormat, "the images have shape " + ToString(images) +
                                          ", the network takes a batch of shape " +
                                          ToString(*input))
        .Hint("are these the data of this network?");
  }
  const std::optional<Shape>& output = graph.tensor(graph.outputs().front()).shape;
  if (!output || output->empty() || output->back() < 0 || data.size() == 0) return;
  const int largest = *std::max_element(data.labels().begin(), data.labels().end());
  if (largest < output->back()) return;
  throw Error(ErrorId::kDataLabel, "the data hold label " + std::to_string(largest) +
                                       ", the network has " + std::to_string(output->back()) +
                                       " outputs")
      .Hint("are these the data of this network? labels count from 0");
}

}  // namespace bitsearch
