// The layers command: reads a model and prints its layers as a table, or the graph for Graphviz.
#include "experiments/command_line/layers_command.h"

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/command_line/model_options.h"
#include "space/choices/placement.h"
#include "space/graph/describe.h"
#include "space/graph/rewrites.h"
#include "space/graph/ties.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

struct LayersOptions {
  std::string model;
  bool dot = false;
  bool keep_batch_norm = false;
  std::vector<std::string> shapes;
};

ExitCode ShowLayers(const LayersOptions& options, CommandContext& context) {
  LayerGraph graph = ReadModel(options.model, options.shapes);
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
  AddShapeOption(*command, options->shapes);
  command->add_flag("--keep-batch-norm", options->keep_batch_norm,
                    "Show the model as it is; by default BN is folded, as every search does");
  command->callback([options, &context] {
    context.action = [options, &context] { return ShowLayers(*options, context); };
  });
}

}  // namespace bitsearch
