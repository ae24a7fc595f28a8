// The train command: data and options from the YAML, the work in the LibTorch module, ONNX out.
#include "experiments/command_line/train_command.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/command_line/option_checks.h"
#include "experiments/experiment.h"
#include "experiments/torch_backend.h"
#include "space/graph/onnx_reader.h"
#include "space/graph/onnx_writer.h"
#include "space/network/builtin.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

struct TrainCommandOptions {
  std::string file;
  std::vector<std::string> overrides;
  bool resume = false;
  bool force = false;
};

namespace fs = std::filesystem;

fs::path CheckpointOf(const TrainSection& section) {
  return section.output.string() + ".checkpoint";
}

/// What an earlier training left is not overwritten unless the user says so.
void RequireFree(const TrainSection& section, const TrainCommandOptions& options) {
  if (options.force) return;
  const fs::path checkpoint = CheckpointOf(section);
  const bool resumable = fs::exists(checkpoint);
  if (options.resume ? resumable || !fs::exists(section.output)
                     : !resumable && !fs::exists(section.output)) {
    return;
  }
  const bool half_done = resumable && !fs::exists(section.output);
  throw Error(ErrorId::kRunExists,
              half_done        ? "a training that was not finished has its checkpoint here"
              : options.resume ? "the file exists, and there is no checkpoint to go on from"
                               : "the file exists")
      .At({half_done ? checkpoint.string() : section.output.string()})
      .Key("train.output")
      .Hint(resumable ? "add --resume to go on with that training, --force to start anew and "
                        "overwrite it, or name another file"
                      : "add --force to overwrite it, or name another file");
}

LayerGraph StartingNetwork(const Experiment& experiment, const Dataset& train) {
  if (!experiment.model.file.empty()) return ReadOnnx(experiment.model.file);
  return BuildBuiltin(experiment.model.builtin,
                      {train.channels(), train.height(), train.width(), train.class_count()},
                      experiment.seed);
}

ExitCode RunTraining(const TrainCommandOptions& options, CommandContext& context) {
  const Experiment experiment =
      ReadExperiment(options.file, options.overrides, ExperimentUse::kTrain);
  const TrainSection& section = *experiment.train;
  RequireWritable(section.output);
  RequireFree(section, options);
  const Dataset train = Dataset::Load(*experiment.data.train);
  const Dataset validation = Dataset::Load(*experiment.data.validation);
  TrainOptions train_options;
  train_options.epochs = static_cast<int>(section.epochs);
  train_options.batch_size = static_cast<int>(section.batch_size);
  train_options.learning_rate = section.learning_rate;
  train_options.warmup_epochs = section.warmup_epochs;
  train_options.momentum = section.momentum;
  train_options.weight_decay = section.weight_decay;
  train_options.label_smoothing = section.label_smoothing;
  train_options.crop_padding = static_cast<int>(section.crop_padding);
  train_options.flip = section.flip;
  train_options.device = experiment.device;
  train_options.checkpoint = CheckpointOf(section);
  train_options.resume = options.resume;
  RunContext run = context.run;
  run.root_seed = experiment.seed;
  if (experiment.threads > 0) run.threads = static_cast<int>(experiment.threads);
  const TrainResult result =
      LoadTorchBackend(context.executable_folder)
          ->Train(StartingNetwork(experiment, train), train, validation, train_options, run);
  WriteOnnx(result.graph, section.output);
  context.out << "epoch  training loss  training top-1 %  validation top-1 %\n";
  for (const EpochRecord& epoch : result.history) {
    context.out << fmt::format("{:5}  {:13.4f}  {:16.2f}  {:18.2f}\n", epoch.epoch,
                               epoch.train_loss_nats, epoch.train_top1_percent,
                               epoch.validation_top1_percent);
  }
  context.out << "written: " << section.output.string() << '\n';
  return ExitCode::kDone;
}

}  // namespace

void AddTrainCommand(CLI::App& app, CommandContext& context) {
  const auto options = std::make_shared<TrainCommandOptions>();
  CLI::App* command =
      app.add_subcommand("train", "Train the network of an experiment and write it as ONNX");
  command->add_option("FILE.yaml", options->file, "The experiment, with a train section")
      ->required();
  command->add_option("--set", options->overrides, "Override one key: --set train.epochs=5")
      ->expected(1)
      ->take_all();
  CLI::Option* resume =
      command->add_flag("--resume", options->resume,
                        "Continue from the checkpoint beside the output, if there is one");
  command
      ->add_flag("--force", options->force,
                 "Start anew and overwrite what an earlier training has written")
      ->excludes(resume);
  command->callback([options, &context] {
    context.action = [options, &context] {
      return WithPlace({options->file}, [&] { return RunTraining(*options, context); });
    };
  });
}

}  // namespace bitsearch
