#pragma once
// Records through a file in the user's runtime, in the batches that the file takes. Must not depend
// on LibTorch.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "space/graph/layer_graph.h"
#include "space/hardware/onnx_runtime.h"
#include "space/network/dataset.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// The batch that the network's first input fixes; 0 if it is open.
std::int64_t FixedBatch(const LayerGraph& graph);

/// `count` records from `first` on as the network's first input, `batch` at a time.
RuntimeInput RecordsAsInput(const LayerGraph& graph, const Dataset& data, std::int64_t first,
                            std::int64_t count, std::int64_t batch);

struct RecordOutputs {
  std::int64_t records = 0;
  std::vector<float> values;  ///< The first output's, record by record.
  std::string runtime;        ///< "onnxruntime-node 1.30.0"

  /// The values of one record; all have equally many.
  std::span<const float> Row(std::int64_t record) const;
};

/// The first output of `request.model` for all records: whole batches, then the rest. A network of
/// a fixed batch runs whole batches only, and leaves out the records beyond them. `request.inputs`
/// and `batches` are set here. Throws as RunInRuntime, Error(kDataCount) where not even one batch
/// is full, Error(kRuntimeFailed) if the output has not equally many values for each record.
RecordOutputs RunRecords(const RuntimeLocation& runtime, RuntimeRequest request,
                         const LayerGraph& graph, const Dataset& data, const RunContext& context);

/// Where the largest value of a row is.
std::int64_t Argmax(std::span<const float> row);

/// Records whose largest value stands at their label. `data` is labelled.
std::int64_t CountCorrect(const RecordOutputs& outputs, const Dataset& data);

}  // namespace bitsearch
