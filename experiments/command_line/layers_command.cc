// The layers command: reads a model and prints its layers as a table, or the graph for Graphviz.
#include "experiments/command_line/layers_command.h"

#include <algorithm>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/tensor_files.h"
#include "space/choices/placement.h"
#include "space/graph/describe.h"
#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "space/graph/ties.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

struct LayersOptions {
  std::string model;
  bool dot = false;
  bool keep_batch_norm = false;
  std::vector<std::string> shapes;
};

/// Which input each `[NAME=]1,3,32,32` is for; the first one where no name is given.
std::map<std::string, Shape> ShapesByInput(const LayersOptions& options) {
  std::map<std::string, Shape> shapes;
  if (options.shapes.empty()) return shapes;
  const LayerGraph graph = ReadOnnx(options.model);
  std::vector<std::string> inputs;
  for (const TensorIndex input : graph.inputs()) inputs.push_back(graph.tensor(input).name);
  if (inputs.empty())
    throw Error(ErrorId::kUsage, "the network has no input").Key("--shape").Hint("leave it out");
  for (const std::string& text : options.shapes) {
    const std::size_t equals = text.rfind('=');
    const std::string name = equals == std::string::npos ? inputs.at(0) : text.substr(0, equals);
    if (std::find(inputs.begin(), inputs.end(), name) == inputs.end()) {
      const std::string near = NearestName(name, inputs);
      throw Error(ErrorId::kUsage, "the network has no input '" + name + "'")
          .Key("--shape")
          .Hint("did you mean '" + (near.empty() ? inputs.at(0) : near) + "'?");
    }
    shapes[name] = ParseShape(equals == std::string::npos ? text : text.substr(equals + 1));
  }
  return shapes;
}

ExitCode ShowLayers(const LayersOptions& options, CommandContext& context) {
  LayerGraph graph = ReadOnnx(options.model, {ShapesByInput(options)});
  if (!options.keep_batch_norm) graph = FoldBatchNorm(graph);
  context.out << (options.dot ? DescribeAsDot(graph) : DescribeLayers(graph, InferTies(graph, {})));
  return ExitCode::kDone;
}

}  // namespace

void AddLayersCommand(CLI::App& app, CommandContext& context) {
  const auto options = std::make_shared<LayersOptions>();
  CLI::App* command = app.add_subcommand(
      "layers", "List the quantizable layers of a model: shapes, parameters, MACs, ties");
  command->add_option("MODEL.onnx", options->model, "The float network")->required();
  command->add_flag("--dot", options->dot, "Write the graph for Graphviz instead");
  command
      ->add_option("--shape", options->shapes,
                   "[NAME=]EXTENTS: an input's shape where the model leaves extents open, as in "
                   "1,3,32,32; once for each input (without a name: the first)")
      ->expected(1)
      ->take_all();
  command->add_flag("--keep-batch-norm", options->keep_batch_norm,
                    "Show the model as it is; by default BN is folded, as every search does");
  command->callback([options, &context] {
    context.action = [options, &context] { return ShowLayers(*options, context); };
  });
}

}  // namespace bitsearch
