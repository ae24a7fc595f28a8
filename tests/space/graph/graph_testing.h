#pragma once
// Helpers of the graph tests: tiny ONNX models built in code, random graphs, comparison of graphs.

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "space/graph/layer_graph.h"
#include "space/graph/onnx_reader.h"

namespace bitsearch::testing_graph {

/// A model with opset, one float input "x" and nothing else.
onnx::ModelProto EmptyModel(std::int64_t opset, const Shape& input_shape);
/// −1 becomes the symbol "N" (axis 0) or "S<axis>".
onnx::ValueInfoProto* AddInput(onnx::ModelProto& model, const std::string& name, const Shape& shape,
                               int type = onnx::TensorProto::FLOAT);
void AddOutput(onnx::ModelProto& model, const std::string& name);
onnx::TensorProto* AddFloats(onnx::ModelProto& model, const std::string& name, const Shape& shape,
                             const std::vector<float>& values);
onnx::TensorProto* AddInts(onnx::ModelProto& model, const std::string& name, const Shape& shape,
                           const std::vector<std::int64_t>& values);
onnx::NodeProto* AddNode(onnx::ModelProto& model, const std::string& op,
                         const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs, const std::string& name = "");
void SetInt(onnx::NodeProto* node, const std::string& name, std::int64_t value);
void SetFloat(onnx::NodeProto* node, const std::string& name, float value);
void SetString(onnx::NodeProto* node, const std::string& name, const std::string& value);
void SetInts(onnx::NodeProto* node, const std::string& name,
             const std::vector<std::int64_t>& values);

/// Reads a model that exists only in memory.
LayerGraph Read(const onnx::ModelProto& model, const OnnxReadOptions& options = {});
LayerGraph ReadString(const std::string& bytes, const std::filesystem::path& path = "model.onnx");

/// Names, operators, wiring, attributes, constants (bytes), shapes and layers agree.
testing::AssertionResult SameGraph(const LayerGraph& a, const LayerGraph& b);

/// A random network of convolutions, normalisations, activations, additions, concatenations,
/// pooling and a classifier; equal seeds give equal graphs.
LayerGraph RandomGraph(std::uint64_t seed);

/// Evenly spread values for weights.
std::vector<float> Ramp(std::int64_t count, float scale = 1.0F);

std::filesystem::path SharedModel(const std::string& relative);

}  // namespace bitsearch::testing_graph

#define BITSEARCH_SKIP_WITHOUT(path)                         \
  if (!std::filesystem::exists(path)) {                      \
    GTEST_SKIP() << "test data absent: " << (path).string(); \
  }
