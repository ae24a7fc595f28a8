#pragma once
// TensorProto ↔ TensorValue, with external data files. Never trusts a size that a file claims:
// nothing is allocated before the bytes are known to exist. Internal to space/graph.

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <string>

#include "space/graph/tensor_value.h"

namespace bitsearch {

/// float16, bfloat16 and float64 are computed as float32; every other type is itself.
DataType ComputeType(DataType type);

/// The tensor, in its ComputeType. `folder` is where external data lie. Throws Error(kModelTensor)
/// for a type that is not supported or a size that does not fit the shape,
/// Error(kModelExternalData) for a file that is missing, too short or outside `folder`.
TensorValue ReadTensor(const onnx::TensorProto& proto, const std::string& name,
                       const std::filesystem::path& folder);

/// Bytes go to raw_data.
onnx::TensorProto WriteTensor(const TensorValue& value, const std::string& name);

}  // namespace bitsearch
