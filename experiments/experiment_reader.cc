// Reads an experiment strictly: every key, type, range and contradiction, all at once. The keys'
// names are known here, in the section readers and in experiment_writer.cc. Opens no file but the
// YAML itself.
#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "experiments/experiment.h"
#include "experiments/experiment_sections.h"
#include "experiments/supernet_sections.h"
#include "space/network/builtin.h"
#include "space/support/files.h"
#include "space/support/yaml_reader.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

/// Reads one file: the sections one by one, then what one says about another.
class Reader {
 public:
  Reader(const YamlFile& file, ExperimentUse use)
      : use_(use),
        file_name_(file.name()),
        paths_(fs::absolute(fs::path(file.name())).parent_path()),
        root_(file.root()) {
    experiment_.name = fs::path(file.name()).stem().string();
  }

  Experiment Read() {
    ReadName(root_["name"]);
    experiment_.seed = static_cast<std::uint64_t>(root_["seed"].Integer(0, {0}));
    constexpr std::int64_t kMostThreads = 4096;
    experiment_.threads = root_["threads"].Integer(0, {0, kMostThreads});
    experiment_.places[""] = {file_name_, 0, 0};
    ReadDevice(root_["device"]);
    ReadModel(root_["model"]);
    ReadDataSection(root_["data"], paths_, experiment_);
    ReadQuantizationSections(root_, experiment_);
    ReadSearchSections(root_, paths_, experiment_);
    ReadTrain(root_["train"]);
    CheckTogether();
    return std::move(experiment_);
  }

 private:
  bool for_run() const {
    return use_ == ExperimentUse::kRun ||
           (use_ == ExperimentUse::kCheck && (!has_train_ || experiment_.asks_for_search()));
  }

  /// The name becomes that of a folder.
  void ReadName(const YamlNode& node) {
    experiment_.name = node.String(experiment_.name);
    const std::string& name = experiment_.name;
    if (!node.present() ||
        (!name.empty() && name.front() != '.' && name.find_first_of("/\\") == std::string::npos)) {
      return;
    }
    node.Fail(Error(ErrorId::kYamlChoice,
                    fmt::format("got \"{}\", allowed a name without slashes that does not begin "
                                "with a dot",
                                name))
                  .Hint("the name becomes the folder runs/NAME; another folder is chosen by run "
                        "--out"));
  }

  void ReadDevice(const YamlNode& node) {
    experiment_.device = node.String("cpu");
    static const std::regex kDevice("cpu|cuda(:[0-9]+)?");
    if (!std::regex_match(experiment_.device, kDevice)) {
      node.Fail(Error(ErrorId::kYamlChoice,
                      fmt::format("got \"{}\", allowed cpu, cuda, cuda:N", experiment_.device))
                    .Hint("write device: cpu"));
    }
  }

  void ReadModel(const YamlNode& node) {
    node.Required();
    ModelSection& model = experiment_.model;
    const YamlNode file = node["file"];
    const YamlNode builtin = node["builtin"];
    model.file = paths_.Read(file);
    model.builtin = builtin.String();
    model.fold_batch_norm = node["fold_batch_norm"].Boolean(model.fold_batch_norm);
    if (!node.is_map()) return;
    if (file.present() == builtin.present()) {
      node.Fail(Error(ErrorId::kYamlConflict, file.present()
                                                  ? "got both \"file\" and \"builtin\", allowed one"
                                                  : "got neither \"file\" nor \"builtin\"")
                    .Hint("name an ONNX file, or a built-in network to train"));
    }
    if (model.builtin.empty()) return;
    try {
      RequireBuiltin(model.builtin);
    } catch (const Error& error) {
      builtin.Fail(error);
    }
  }

  void ReadTrain(const YamlNode& node) {
    has_train_ = node.present();
    if (use_ == ExperimentUse::kTrain) node.Required();
    if (!node.present()) return;
    TrainSection train;
    train.epochs = node["epochs"].Integer(train.epochs, {1});
    train.batch_size = node["batch_size"].Integer(train.batch_size, {1});
    const double infinity = std::numeric_limits<double>::infinity();
    train.learning_rate = node["learning_rate"].Number(train.learning_rate, {0.0, infinity, true});
    train.warmup_epochs = node["warmup_epochs"].Number(train.warmup_epochs, {0.0});
    train.momentum = node["momentum"].Number(train.momentum, {0.0, 1.0, false, true});
    train.weight_decay = node["weight_decay"].Number(train.weight_decay, {0.0});
    train.label_smoothing =
        node["label_smoothing"].Number(train.label_smoothing, {0.0, 1.0, false, true});
    train.crop_padding = node["crop_padding"].Integer(train.crop_padding, {0});
    train.flip = node["flip"].Boolean(train.flip);
    train.output = paths_.Read(node["output"].Required());
    experiment_.train = train;
  }

  /// Which sections the use needs, and what one section says about another.
  void CheckTogether() {
    const YamlNode data = root_["data"];
    const auto need = [](const YamlNode& parent, const std::string& key) {
      if (parent.is_map()) parent[key].Required();
    };
    if (use_ == ExperimentUse::kTrain || has_train_) {
      need(data, "train");
      need(data, "validation");
    }
    if (!for_run()) return;
    CheckSupernetSections(root_, experiment_);
    need(data, "search");
    need(data, "report");
    // resolved.yaml says what is used.
    if (experiment_.data.search && experiment_.data.search->samples > 0) {
      experiment_.sensitivity.samples =
          std::min(experiment_.sensitivity.samples, experiment_.data.search->samples);
    }
    const QuantizationSpec& quantization = experiment_.quantization;
    if (quantization.placement != Placement::kWeightsOnly || quantization.StepsNeedData()) {
      need(data, "calibration");
    }
    // Either question will do.
    if (!experiment_.goal.has_value()) root_["budgets"].Required();
    if (!experiment_.model.builtin.empty()) {
      root_["model"]["builtin"].Fail(
          Error(ErrorId::kYamlConflict, "a built-in network is untrained, nothing can be searched")
              .Hint("train it first (bitsearch train), then set model.file to the ONNX file"));
    }
    if (!experiment_.costs.latency_file.empty()) return;
    const auto needs_table = [](const std::string& name) { return name == "latency_us"; };
    for (std::size_t i = 0; i < experiment_.budgets.size(); ++i) {
      for (const BudgetLimit& limit : experiment_.budgets[i].limits) {
        if (needs_table(limit.resource)) {
          root_["budgets"].Items()[i][limit.resource].Fail(NoTable());
        }
      }
    }
    if (experiment_.goal.has_value() && needs_table(experiment_.goal->minimise)) {
      root_["goal"]["minimise"].Fail(NoTable());
    }
    for (const YamlNode& item : root_["search"]["frontier"].Items()) {
      if (needs_table(item.String())) item.Fail(NoTable());
    }
  }

  static Error NoTable() {
    return Error(ErrorId::kYamlConflict, "a latency needs a latency table, none is given")
        .Hint("set costs.latency to a CSV; bitsearch latency measure makes one");
  }

  ExperimentUse use_;
  std::string file_name_;
  ExperimentPaths paths_;
  YamlNode root_;
  Experiment experiment_;
  bool has_train_ = false;
};

Experiment ReadFrom(const YamlFile& file, ExperimentUse use) {
  Experiment experiment = Reader(file, use).Read();
  file.Finish();
  return experiment;
}

}  // namespace

fs::path ExperimentPaths::Resolve(const YamlNode& node, const fs::path& path) const {
  const bool from_command_line = node.present() && node.location().line == 0;
  const fs::path base = from_command_line ? fs::current_path() : folder_;
  return (base / path).lexically_normal();
}

fs::path ExperimentPaths::Read(const YamlNode& node) const {
  const std::string text = node.String();
  if (text.empty()) {
    if (node.is_scalar()) {
      node.Fail(Error(ErrorId::kYamlType, "got an empty path").Hint("name a file"));
    }
    return {};
  }
  return Resolve(node, text);
}

std::vector<std::string> ReadNames(const YamlNode& node, std::vector<std::string> fallback,
                                   const std::vector<std::string>& known) {
  if (!node.present()) return fallback;
  std::vector<std::string> names;
  for (const YamlNode& item : node.Items()) {
    const std::size_t index = item.Choice(known, known.size());
    if (index >= known.size()) continue;
    if (std::find(names.begin(), names.end(), known[index]) != names.end()) {
      item.Fail(Error(ErrorId::kYamlConflict, fmt::format("\"{}\" stands twice", known[index]))
                    .Hint("remove one of the two"));
      continue;
    }
    names.push_back(known[index]);
  }
  return names;
}

SourceLocation Experiment::PlaceOf(const std::string& key) const {
  for (const std::string& wanted : {key, std::string()}) {
    if (const auto found = places.find(wanted); found != places.end()) return found->second;
  }
  return {};
}

const std::vector<std::string>& SensitivityMethods() {
  // "kl" first: the default. The other names are those of the estimators' one interface.
  static const std::vector<std::string> names = {"kl",
                                                 "loss",
                                                 "hessian",
                                                 "perturbation",
                                                 "hutchinson",
                                                 "hutchpp",
                                                 "xtrace",
                                                 "gauss-newton",
                                                 "fisher",
                                                 "eigenvalue",
                                                 "second-order",
                                                 "output-mse",
                                                 "hutchinson-joint",
                                                 "gauss-newton-sampled"};
  return names;
}

const std::vector<std::string>& BaselineNames() {
  static const std::vector<std::string> names = {"fp32",         "uniform", "two_level",
                                                 "first_last_8", "random",  "greedy",
                                                 "parameters",   "blind",   "reversed"};
  return names;
}

const std::vector<std::string>& FineTuneLines() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = BaselineNames();
    all.insert(all.begin() + 1, {"ours", "additive"});
    return all;
  }();
  return names;
}

const std::vector<std::string>& CalibrationSteps() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const CalibrationStepInfo& info : CalibrationStepTable()) all.push_back(info.name);
    return all;
  }();
  return names;
}

Experiment ReadExperiment(const std::string& path, const std::vector<std::string>& overrides,
                          ExperimentUse use) {
  return ReadFrom(YamlFile::Read(path, overrides), use);
}

Experiment ParseExperiment(std::string_view text, const std::string& name,
                           const std::vector<std::string>& overrides, ExperimentUse use) {
  return ReadFrom(YamlFile::Parse(text, name, overrides), use);
}

}  // namespace bitsearch
