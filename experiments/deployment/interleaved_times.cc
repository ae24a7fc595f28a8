#include "experiments/deployment/interleaved_times.h"

#include <cstdint>

#include "space/hardware/onnxruntime_measure.h"
#include "space/hardware/sample_statistics.h"

namespace bitsearch {

InterleavedTimes TimeInterleaved(const RuntimeLocation& runtime,
                                 const std::vector<std::filesystem::path>& files,
                                 const LayerGraph& graph, int rounds, int repetitions,
                                 const RunContext& context) {
  RuntimeRequest request;
  request.inputs = RandomInputs(graph, 1);
  request.repetitions = repetitions;
  InterleavedTimes times;
  times.round_us.resize(files.size());
  const auto count = static_cast<std::int64_t>(files.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto index = static_cast<std::size_t>(i);
      request.model = files[index];
      const RuntimeAnswer answer = RunInRuntime(runtime, request, context);
      times.runtime = answer.version;
      times.round_us[index].push_back(1e6 * Median(answer.seconds));
      context.progress->Progress("time", round * count + i + 1, rounds * count);
    }
  }
  return times;
}

}  // namespace bitsearch
