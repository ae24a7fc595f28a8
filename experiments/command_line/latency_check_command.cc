// The latency check command: which configurations are run, and what is printed.
#include "experiments/command_line/latency_check_command.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/budget.h"
#include "experiments/command_line/model_options.h"
#include "experiments/command_line/option_checks.h"
#include "experiments/deployment/formats/config_format.h"
#include "experiments/deployment/table_check.h"
#include "space/graph/rewrites.h"
#include "space/hardware/latency_csv.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

struct CheckOptions {
  std::string table;
  std::string model;
  std::vector<std::string> shapes;
  std::vector<std::string> configs;
  std::int64_t count = 20;
  std::int64_t seed = 0;
  TableCheckOptions check;
  std::string container{NameOf(Container::kCompute)};
  std::string runtime;
  bool json = false;
};

/// A file, or the name of a uniform configuration.
NamedConfig ConfigNamed(const std::string& given, const LayerGraph& graph) {
  const std::filesystem::path file(given);
  const std::optional<BitChoice> uniform = ParseBaseline(given);
  if (uniform.has_value() && !std::filesystem::exists(file)) {
    return {given, BitConfig::Uniform(graph.layers().size(), *uniform)};
  }
  const ConfigDocument document = ReadAnyConfig(file, &graph).document;
  // Runs call their files alike: the folder tells them apart.
  return {(file.parent_path().filename() / file.filename()).string(),
          ConfigForGraph(document, graph, given)};
}

ExitCode Check(const CheckOptions& options, CommandContext& context) {
  LatencyTable table = ReadLatencyCsv(options.table);
  const std::string transitions = TransitionsPathFor(options.table);
  if (std::filesystem::exists(transitions)) ReadTransitionsCsv(transitions, &table);
  const LayerGraph graph = FoldBatchNorm(ReadModel(options.model, options.shapes));
  std::vector<NamedConfig> configs;
  for (const std::string& file : options.configs) {
    configs.push_back(ConfigNamed(file, graph));
  }
  if (configs.empty()) {
    configs = MixedConfigs(graph, CommonChoices(table, LayerKeysOf(graph)),
                           static_cast<std::size_t>(options.count),
                           static_cast<std::uint64_t>(options.seed));
  }
  TableCheckOptions check = options.check;
  check.container = *ParseContainer(options.container);
  check.runtime = FindRuntime(options.runtime, context.executable_folder);
  const TableCheck result = CheckTable(table, graph, configs, check, context.run);
  context.out << (options.json ? TableCheckJson(result) : TableCheckText(result));
  return ExitCode::kDone;
}

}  // namespace

void AddLatencyCheck(CLI::App& latency, CommandContext& context) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* command = latency.add_subcommand(
      "check", "Run mixed configurations in ONNX Runtime and compare a table's sums with them");
  command->add_option("TABLE.csv", options->table, "The table; its transitions are read too")
      ->required();
  command->add_option("--model", options->model, "The float model that the table is of")
      ->required();
  AddShapeOption(*command, options->shapes);
  command
      ->add_option("--config", options->configs,
                   "A configuration to run: a file in any format, or fp32, int8, w4a8 for all "
                   "layers; several times, the others are compared with the first; else random "
                   "mixes")
      ->allow_extra_args(false)
      ->take_all();
  command->add_option("--count", options->count, "Random mixes of the table's choices")
      ->check(IntegerText(1, 1000))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Of the random mixes")
      ->check(IntegerText(0, std::int64_t{1} << 62))
      ->capture_default_str();
  command->add_option("--rounds", options->check.rounds, "Interleaved rounds over all")
      ->check(IntegerText(1, 10'000))
      ->capture_default_str();
  command->add_option("--repetitions", options->check.repetitions, "Timed runs of each in a round")
      ->check(IntegerText(1, 1'000'000))
      ->capture_default_str();
  command->add_option("--container", options->container, "storage or compute")
      ->check(NameText({"storage", "compute"}))
      ->capture_default_str();
  command->add_option("--runtime", options->runtime,
                      "Command that runs a Node.js script (default: node)");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &context] {
    context.action = [options, &context] { return Check(*options, context); };
  });
}

}  // namespace bitsearch
