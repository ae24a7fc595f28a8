#include "experiments/deployment/runtime_scores.h"

#include <algorithm>
#include <vector>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kBatch = 50;

/// The batch that the file fixes; 0 if it is open.
std::int64_t FixedBatch(const LayerGraph& graph) {
  const auto& shape = graph.tensor(graph.inputs().front()).shape;
  return shape && !shape->empty() ? std::max<std::int64_t>(shape->front(), 0) : 0;
}

RuntimeScore ScorePart(const RuntimeLocation& runtime, const std::filesystem::path& file,
                       const LayerGraph& graph, const Dataset& data, std::int64_t batch,
                       const RunContext& context) {
  const std::int64_t size = data.channels() * data.height() * data.width();
  RuntimeInput input{graph.tensor(graph.inputs().front()).name,
                     {batch, data.channels(), data.height(), data.width()},
                     std::vector<float>(static_cast<std::size_t>(size * data.size()))};
  for (std::int64_t i = 0; i < data.size(); ++i) {
    data.CopyNormalised(i, input.values.data() + i * size);
  }
  RuntimeRequest request;
  request.model = file;
  request.inputs = {std::move(input)};
  request.batches = data.size() / batch;
  const RuntimeAnswer answer = RunInRuntime(runtime, request, context);
  const std::vector<float>& values = answer.outputs.front().values;
  const auto records = static_cast<std::size_t>(data.size());
  if (values.empty() || values.size() % records != 0) {
    throw Error(ErrorId::kRuntimeFailed, "its first output is no row of scores for each record")
        .At({file.string()});
  }
  const auto classes = static_cast<std::ptrdiff_t>(values.size() / records);
  RuntimeScore score{data.size(), 0};
  for (std::size_t i = 0; i < records; ++i) {
    const auto row = values.begin() + static_cast<std::ptrdiff_t>(i) * classes;
    if (std::max_element(row, row + classes) - row == data.labels()[i]) ++score.correct;
  }
  return score;
}

}  // namespace

RuntimeScore ScoreInRuntime(const RuntimeLocation& runtime, const std::filesystem::path& file,
                            const LayerGraph& graph, const Dataset& data,
                            const RunContext& context) {
  const std::int64_t fixed = FixedBatch(graph);
  const std::int64_t batch = fixed > 0 ? fixed : std::min(kBatch, data.size());
  const std::int64_t whole = data.size() / batch * batch;
  if (whole == 0) {
    throw Error(ErrorId::kDataCount, "the network takes " + std::to_string(batch) +
                                         " records at once, there are " +
                                         std::to_string(data.size()))
        .At({file.string()})
        .Hint("give more records, or export the network with a free batch");
  }
  RuntimeScore score = ScorePart(runtime, file, graph, data.Slice(0, whole), batch, context);
  if (const std::int64_t rest = data.size() - whole; rest > 0 && fixed == 0) {
    const RuntimeScore more =
        ScorePart(runtime, file, graph, data.Slice(whole, rest), rest, context);
    score.samples += more.samples;
    score.correct += more.correct;
  }
  return score;
}

}  // namespace bitsearch
