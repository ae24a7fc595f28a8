#include "experiments/deployment/runtime_records.h"

#include <algorithm>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kBatch = 50;

void Append(const RuntimeLocation& runtime, RuntimeRequest& request, const LayerGraph& graph,
            const Dataset& data, std::int64_t count, std::int64_t batch, const RunContext& context,
            RecordOutputs& outputs) {
  request.inputs = {RecordsAsInput(graph, data, outputs.records, count, batch)};
  request.batches = count / batch;
  RuntimeAnswer answer = RunInRuntime(runtime, request, context);
  const std::vector<float>& values = answer.outputs.front().values;
  const auto row = outputs.records > 0
                       ? outputs.values.size() / static_cast<std::size_t>(outputs.records)
                       : values.size() / static_cast<std::size_t>(count);
  if (values.empty() || values.size() != row * static_cast<std::size_t>(count)) {
    throw Error(ErrorId::kRuntimeFailed,
                "its first output has not equally many values for each record")
        .At({request.model.string()});
  }
  outputs.values.insert(outputs.values.end(), values.begin(), values.end());
  outputs.records += count;
  outputs.runtime = std::move(answer.version);
}

}  // namespace

std::int64_t FixedBatch(const LayerGraph& graph) {
  const auto& shape = graph.tensor(graph.inputs().front()).shape;
  return shape && !shape->empty() ? std::max<std::int64_t>(shape->front(), 0) : 0;
}

RuntimeInput RecordsAsInput(const LayerGraph& graph, const Dataset& data, std::int64_t first,
                            std::int64_t count, std::int64_t batch) {
  Shape shape = data.shape();
  shape.insert(shape.begin(), batch);
  const std::int64_t size = data.elements();
  std::vector<float> values(static_cast<std::size_t>(size * count));
  for (std::int64_t i = 0; i < count; ++i) data.CopyNormalised(first + i, values.data() + i * size);
  return {graph.tensor(graph.inputs().front()).name, std::move(shape), std::move(values)};
}

std::span<const float> RecordOutputs::Row(std::int64_t record) const {
  const std::size_t width = values.size() / static_cast<std::size_t>(records);
  return std::span(values).subspan(static_cast<std::size_t>(record) * width, width);
}

RecordOutputs RunRecords(const RuntimeLocation& runtime, RuntimeRequest request,
                         const LayerGraph& graph, const Dataset& data, const RunContext& context) {
  const std::int64_t fixed = FixedBatch(graph);
  const std::int64_t batch = fixed > 0 ? fixed : std::min(kBatch, data.size());
  const std::int64_t whole = batch > 0 ? data.size() / batch * batch : 0;
  if (whole == 0) {
    throw Error(ErrorId::kDataCount, "the network takes " + std::to_string(batch) +
                                         " records at once, there are " +
                                         std::to_string(data.size()))
        .At({request.model.string()})
        .Hint("give more records, or export the network with a free batch");
  }
  RecordOutputs outputs;
  Append(runtime, request, graph, data, whole, batch, context, outputs);
  const std::int64_t rest = data.size() - whole;
  if (rest > 0 && fixed == 0) {
    Append(runtime, request, graph, data, rest, rest, context, outputs);
  }
  return outputs;
}

std::int64_t Argmax(std::span<const float> row) {
  return std::max_element(row.begin(), row.end()) - row.begin();
}

std::int64_t CountCorrect(const RecordOutputs& outputs, const Dataset& data) {
  std::int64_t correct = 0;
  for (std::int64_t i = 0; i < outputs.records; ++i) {
    correct += Argmax(outputs.Row(i)) == data.labels()[static_cast<std::size_t>(i)] ? 1 : 0;
  }
  return correct;
}

}  // namespace bitsearch
