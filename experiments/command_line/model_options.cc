#include "experiments/command_line/model_options.h"

#include <algorithm>
#include <map>

#include "experiments/tensor_files.h"
#include "space/graph/onnx_reader.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {

void AddShapeOption(CLI::App& command, std::vector<std::string>& shapes) {
  command
      .add_option("--shape", shapes,
                  "[NAME=]EXTENTS: an input's shape where the model leaves extents open, as in "
                  "1,3,32,32; once for each input (without a name: the first)")
      ->expected(1)
      ->take_all();
}

LayerGraph ReadModel(const std::string& model, const std::vector<std::string>& shapes) {
  if (shapes.empty()) return ReadOnnx(model);
  const LayerGraph graph = ReadOnnx(model);
  std::vector<std::string> inputs;
  for (const TensorIndex input : graph.inputs()) inputs.push_back(graph.tensor(input).name);
  if (inputs.empty()) {
    throw Error(ErrorId::kUsage, "the network has no input").Key("--shape").Hint("leave it out");
  }
  std::map<std::string, Shape> of_input;
  for (const std::string& text : shapes) {
    const std::size_t equals = text.rfind('=');
    const std::string name = equals == std::string::npos ? inputs.at(0) : text.substr(0, equals);
    if (std::find(inputs.begin(), inputs.end(), name) == inputs.end()) {
      const std::string near = NearestName(name, inputs);
      throw Error(ErrorId::kUsage, "the network has no input '" + name + "'")
          .Key("--shape")
          .Hint("did you mean '" + (near.empty() ? inputs.at(0) : near) + "'?");
    }
    of_input[name] = ParseShape(equals == std::string::npos ? text : text.substr(equals + 1));
  }
  return ReadOnnx(model, {of_input});
}

}  // namespace bitsearch
