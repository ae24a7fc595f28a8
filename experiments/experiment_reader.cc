// Reads an experiment strictly: every key, type, range and contradiction, all at once. The only
// place that knows the keys' names besides experiment_writer.cc. Opens no file but the YAML itself.
#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "experiments/experiment.h"
#include "space/support/files.h"
#include "space/support/yaml_reader.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

/// Reads one file's sections; `folder` is what relative paths are relative to.
class Reader {
 public:
  Reader(const YamlFile& file, ExperimentUse use)
      : use_(use),
        file_name_(file.name()),
        folder_(fs::absolute(fs::path(file.name())).parent_path()),
        root_(file.root()) {
    experiment_.name = fs::path(file.name()).stem().string();
  }

  Experiment Read() {
    experiment_.name = root_["name"].String(experiment_.name);
    experiment_.seed = static_cast<std::uint64_t>(root_["seed"].Integer(0, {0}));
    constexpr std::int64_t kMostThreads = 4096;
    experiment_.threads = root_["threads"].Integer(0, {0, kMostThreads});
    experiment_.places[""] = {file_name_, 0, 0};
    ReadDevice(root_["device"]);
    ReadModel(root_["model"]);
    ReadData(root_["data"]);
    ReadPlacement(root_["space"]["placement"]);
    ReadSpace(root_["space"]);
    ReadWeightQuantizer(root_["quantizer"]["weights"]);
    ReadActivationQuantizer(root_["quantizer"]["activations"]);
    ReadCalibration(root_["calibration"]);
    ReadSensitivity(root_["sensitivity"]);
    ReadCosts(root_["costs"]);
    ReadBudgets(root_["budgets"]);
    ReadGoal(root_["goal"]);
    ReadSearch(root_["search"]);
    ReadBaselines(root_["baselines"]);
    ReadTrain(root_["train"]);
    CheckTogether();
    return std::move(experiment_);
  }

 private:
  bool for_run() const {
    return use_ == ExperimentUse::kRun || (use_ == ExperimentUse::kCheck && !has_train_);
  }

  /// A value from the command line (it has no line) is relative to the working directory.
  fs::path Resolve(const YamlNode& node, const fs::path& path) const {
    const bool from_command_line = node.present() && node.location().line == 0;
    const fs::path base = from_command_line ? fs::current_path() : folder_;
    return (base / path).lexically_normal();
  }

  fs::path Path(const YamlNode& node) const {
    const std::string text = node.String();
    if (text.empty()) {
      if (node.is_scalar()) {
        node.Fail(Error(ErrorId::kYamlType, "got an empty path").Hint("name a file"));
      }
      return {};
    }
    return Resolve(node, text);
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
    model.file = Path(file);
    model.builtin = builtin.String();
    model.fold_batch_norm = node["fold_batch_norm"].Boolean(model.fold_batch_norm);
    if (!node.is_map()) return;
    if (file.present() == builtin.present()) {
      node.Fail(Error(ErrorId::kYamlConflict, file.present()
                                                  ? "got both \"file\" and \"builtin\", allowed one"
                                                  : "got neither \"file\" nor \"builtin\"")
                    .Hint("name an ONNX file, or a built-in network to train"));
    }
    static const std::regex kResnet("resnet([1-9][0-9]{0,3})");
    std::smatch match;
    if (!model.builtin.empty()) {
      const bool known = std::regex_match(model.builtin, match, kResnet) &&
                         std::stoi(match[1]) % 6 == 2 && std::stoi(match[1]) > 2;
      if (!known) {
        builtin.Fail(Error(ErrorId::kYamlChoice,
                           fmt::format("got \"{}\", allowed resnet8, resnet14, resnet20, … "
                                       "(6n + 2 layers)",
                                       model.builtin))
                         .Hint("did you mean \"resnet20\"?"));
      }
    }
  }

  std::vector<float> Channels(const YamlNode& node, std::vector<float> fallback, bool positive) {
    if (!node.present()) return fallback;
    NumberRange range;
    if (positive) range = {0.0, range.max, true};
    const auto number = [&](const YamlNode& item) {
      return static_cast<float>(item.Number(positive ? 1.0 : 0.0, range));
    };
    if (node.is_scalar()) return {number(node)};
    std::vector<float> values;
    for (const YamlNode& item : node.Items()) values.push_back(number(item));
    if (values.empty() && node.is_list()) {
      node.Fail(Error(ErrorId::kYamlRange, "got an empty list")
                    .Hint("write one value for all channels, or one per channel"));
    }
    return values.empty() ? fallback : values;
  }

  /// A split is a SPEC, or a map with `source`, `first`, `samples`, `mean`, `std`.
  std::optional<DataSpec> Split(const YamlNode& data, const std::string& key) {
    const YamlNode node = data[key];
    if (!node.present()) return std::nullopt;
    experiment_.places["data." + key] = node.location();
    const bool plain = node.is_scalar();
    const YamlNode own_source = plain ? node : node["source"];
    const YamlNode source = own_source.present() ? own_source : data["source"];
    DataSpec spec;
    if (!source.present()) {
      own_source.Required();
    } else if (const std::string text = source.String(); !text.empty()) {
      try {
        spec = DataSpec::Parse(text);
      } catch (const Error& error) {
        source.Fail(error);
      }
      for (fs::path& path : spec.paths) path = Resolve(source, path);
    }
    spec.mean = Channels(data["mean"], {0.0F}, false);
    spec.std = Channels(data["std"], {1.0F}, true);
    if (plain) return spec;
    spec.mean = Channels(node["mean"], spec.mean, false);
    spec.std = Channels(node["std"], spec.std, true);
    spec.first = node["first"].Integer(0, {0});
    if (node["samples"].present()) spec.samples = node["samples"].Integer(-1, {1});
    return spec;
  }

  void ReadData(const YamlNode& node) {
    node.Required();
    DataSection& data = experiment_.data;
    // Known even where no split falls back on them.
    for (const char* key : {"source", "mean", "std"}) (void)node[key];
    data.train = Split(node, "train");
    data.validation = Split(node, "validation");
    data.calibration = Split(node, "calibration");
    data.search = Split(node, "search");
    data.report = Split(node, "report");
    CheckOverlap(node);
  }

  static bool Overlap(const DataSpec& a, const DataSpec& b) {
    const bool shared = std::any_of(a.paths.begin(), a.paths.end(), [&](const fs::path& path) {
      return std::find(b.paths.begin(), b.paths.end(), path) != b.paths.end();
    });
    if (!shared) return false;
    if (a.paths != b.paths) return true;
    const auto end = [](const DataSpec& spec) {
      return spec.samples < 0 ? std::numeric_limits<std::int64_t>::max()
                              : spec.first + spec.samples;
    };
    return a.first < end(b) && b.first < end(a);
  }

  void CheckOverlap(const YamlNode& node) const {
    const DataSection& data = experiment_.data;
    if (!data.report.has_value()) return;
    const std::vector<std::pair<std::string, const std::optional<DataSpec>*>> others = {
        {"train", &data.train}, {"calibration", &data.calibration}, {"search", &data.search}};
    for (const auto& [name, spec] : others) {
      if (!spec->has_value() || !Overlap(**spec, *data.report)) continue;
      node["report"].Fail(
          Error(ErrorId::kDataOverlap, fmt::format("shares records with data.{}", name))
              .Hint("figures must come from records that no choice was made on: set \"first\" and "
                    "\"samples\" so that the two are apart"));
    }
  }

  std::optional<NumberFormat> Format(const YamlNode& node) const {
    if (!node.present()) return std::nullopt;
    const std::string text = node.String("?");
    if (text == "?") return std::nullopt;  // a list or map, already noted
    const auto format = NumberFormat::Parse(text);
    if (!format.has_value() || format->kind() == NumberFormat::Kind::kSkip) {
      node.Fail(Error(ErrorId::kBitsValue,
                      fmt::format("got \"{}\", allowed 1 to 16, ternary, fp16, bf16, fp32", text))
                    .Hint("choose one of these"));
      return std::nullopt;
    }
    return format;
  }

  std::vector<NumberFormat> Formats(const YamlNode& node,
                                    std::vector<NumberFormat> fallback) const {
    if (!node.present()) return fallback;
    std::vector<NumberFormat> formats;
    for (const YamlNode& item : node.Items()) {
      const auto format = Format(item);
      if (!format.has_value()) continue;
      if (std::find(formats.begin(), formats.end(), *format) != formats.end()) {
        item.Fail(Error(ErrorId::kYamlConflict,
                        fmt::format("\"{}\" stands twice in the list", format->ToString()))
                      .Hint("remove one of the two"));
        continue;
      }
      formats.push_back(*format);
    }
    if (node.is_list() && node.Items().empty()) {
      node.Fail(Error(ErrorId::kYamlRange, "got an empty list").Hint("name at least one format"));
    }
    return formats.empty() ? fallback : formats;
  }

  void ReadPlacement(const YamlNode& node) {
    experiment_.quantization.placement =
        node.Enum<Placement>({{"weights_only", Placement::kWeightsOnly},
                              {"layer_inputs", Placement::kLayerInputs},
                              {"runtime", Placement::kRuntime},
                              {"integer", Placement::kInteger}},
                             Placement::kWeightsOnly);
    const Placement placement = experiment_.quantization.placement;
    if (placement == Placement::kRuntime || placement == Placement::kInteger) {
      node.Fail(Error(ErrorId::kYamlChoice,
                      fmt::format("placement {} cannot be simulated yet, allowed weights_only, "
                                  "layer_inputs",
                                  node.String()))
                    .Hint("layer_inputs is the nearest"));
    }
  }

  void ReadSpace(const YamlNode& node) {
    SpaceSection& space = experiment_.space;
    const auto integers = [](std::initializer_list<int> bits) {
      std::vector<NumberFormat> formats;
      for (const int b : bits) formats.push_back(NumberFormat::Integer(b));
      return formats;
    };
    space.weight_bits = Formats(node["weight_bits"], integers({2, 3, 4, 5, 6, 8}));
    const bool weights_only = experiment_.quantization.placement == Placement::kWeightsOnly;
    space.activation_bits =
        Formats(node["activation_bits"],
                weights_only ? std::vector{NumberFormat::Float32()} : integers({8}));
    if (weights_only && space.activation_bits != std::vector{NumberFormat::Float32()}) {
      node["activation_bits"].Fail(
          Error(ErrorId::kYamlConflict, "placement weights_only leaves activations float")
              .Hint("set space.placement to layer_inputs, or remove activation_bits"));
    }
    space.equal_bits = node["equal_bits"].Boolean(false);
    for (const auto& [glob, value] : node["pins"].Entries()) {
      experiment_.places["space.pins." + glob] = value.location();
      const Pin pin{glob, Format(value["weight"]), Format(value["activation"])};
      if (value.is_map() && !value["weight"].present() && !value["activation"].present()) {
        value.Fail(Error(ErrorId::kYamlMissingKey, "the pin names neither weight nor activation")
                       .Hint("write, for example, {weight: 8, activation: 8}"));
      }
      space.pins.push_back(pin);
    }
  }

  /// `range` and `percentile`.
  static RangeSpec ReadRange(const YamlNode& node, RangeSpec range) {
    range.method = node["range"].Enum<RangeMethod>({{"min_max", RangeMethod::kMinMax},
                                                    {"percentile", RangeMethod::kPercentile},
                                                    {"mse", RangeMethod::kMse}},
                                                   range.method);
    constexpr double kHalf = 50.0;
    constexpr double kAll = 100.0;
    const YamlNode percentile = node["percentile"];
    range.percentile = percentile.Number(range.percentile, {kHalf, kAll, true, false});
    if (percentile.present() && range.method != RangeMethod::kPercentile) {
      percentile.Fail(Error(ErrorId::kYamlConflict, "only range percentile has a percentile")
                          .Hint("remove it, or set range: percentile"));
    }
    return range;
  }

  void ReadWeightQuantizer(const YamlNode& node) {
    WeightQuantizerSpec& weight = experiment_.quantization.weight;
    weight.granularity =
        node["granularity"].Enum<Granularity>({{"per_tensor", Granularity::kPerTensor},
                                               {"per_channel", Granularity::kPerChannel},
                                               {"per_group", Granularity::kPerGroup}},
                                              weight.granularity);
    const YamlNode group = node["group_size"];
    constexpr std::int64_t kLargestGroup = 1 << 20;
    weight.group_size = static_cast<int>(group.Integer(weight.group_size, {1, kLargestGroup}));
    if (group.present() && weight.granularity != Granularity::kPerGroup) {
      group.Fail(Error(ErrorId::kYamlConflict, "only granularity per_group has a group size")
                     .Hint("remove it, or set granularity: per_group"));
    }
    const YamlNode narrow = node["narrow"];
    weight.symmetric = node["symmetric"].Boolean(weight.symmetric);
    weight.narrow = narrow.Boolean(weight.symmetric);
    if (weight.narrow && !weight.symmetric) {
      narrow.Fail(Error(ErrorId::kYamlConflict, "only symmetric weights have a narrow range")
                      .Hint("remove it, or set symmetric: true"));
    }
    weight.range = ReadRange(node, weight.range);
  }

  void ReadActivationQuantizer(const YamlNode& node) {
    ActivationQuantizerSpec& activation = experiment_.quantization.activation;
    activation.symmetric = node["symmetric"].Boolean(activation.symmetric);
    activation.range = ReadRange(node, activation.range);
  }

  /// A list of distinct names out of `known`.
  static std::vector<std::string> Names(const YamlNode& node, std::vector<std::string> fallback,
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

  void ReadCalibration(const YamlNode& node) {
    const std::vector<std::string> steps = Names(node, {"bias_correction"}, CalibrationSteps());
    experiment_.quantization.bias_correction =
        std::find(steps.begin(), steps.end(), "bias_correction") != steps.end();
  }

  void ReadSensitivity(const YamlNode& node) {
    SensitivitySection& section = experiment_.sensitivity;
    const YamlNode method = node["method"];
    const std::size_t index = method.Choice(SensitivityMethods(), 0);
    section.method = SensitivityMethods()[index];
    section.samples = node["samples"].Integer(section.samples, {1});
    section.probes = node["probes"].Integer(section.probes, {1});
    section.score = node["score"].Enum<std::string>({{"half", "half"}, {"hawq", "hawq"}}, "half");
    section.file = Path(node["file"]);
    experiment_.places["sensitivity.file"] = node["file"].location();
    if (!section.file.empty() && method.present()) {
      node["file"].Fail(Error(ErrorId::kYamlConflict, "got both \"file\" and \"method\"")
                            .Hint("remove one: a file is taken as it is, a method computes"));
    }
  }

  void ReadCosts(const YamlNode& node) {
    CostSection& costs = experiment_.costs;
    const YamlNode latency = node["latency"];
    if (latency.is_scalar()) {
      costs.latency_file = Path(latency);
      return;
    }
    costs.latency_file = Path(latency["table"]);
    if (latency.present()) latency["table"].Required();
    costs.transitions_file = Path(latency["transitions"]);
    costs.missing = latency["missing"].Enum<MissingPolicy>(
        {{"error", MissingPolicy::kError}, {"interpolate", MissingPolicy::kInterpolate}},
        MissingPolicy::kError);
  }

  void ReadBudgets(const YamlNode& node) {
    std::vector<std::string> names;
    for (const YamlNode& item : node.Items()) {
      Budget budget;
      for (const std::string& resource : BudgetResources()) {
        const YamlNode value = item[resource];
        if (!value.present()) continue;
        const std::string text = value.String();
        if (text.empty()) continue;
        try {
          budget.limits.push_back(ParseBudgetLimit(resource, text));
        } catch (const Error& error) {
          value.Fail(error);
        }
      }
      budget.name = item["name"].String(LimitsText(budget));
      const bool names_a_resource =
          std::any_of(BudgetResources().begin(), BudgetResources().end(),
                      [&](const std::string& resource) { return item[resource].present(); });
      if (item.is_map() && !names_a_resource) {
        item.Fail(Error(ErrorId::kYamlMissingKey, "the budget limits nothing")
                      .Hint("add, for example, size_bytes: 0.6 x int8"));
      }
      if (std::find(names.begin(), names.end(), budget.name) != names.end()) {
        item.Fail(Error(ErrorId::kYamlConflict,
                        fmt::format("another budget has the name \"{}\"", budget.name))
                      .Hint("give each budget its own name"));
      }
      experiment_.places["budgets." + budget.name] = item.location();
      names.push_back(budget.name);
      budgets().push_back(std::move(budget));
    }
    if (node.is_list() && names.empty()) {
      node.Fail(Error(ErrorId::kYamlRange, "got an empty list")
                    .Hint("add, for example, - size_bytes: 0.6 x int8"));
    }
  }

  void ReadGoal(const YamlNode& node) {
    if (!node.present()) return;
    GoalSection goal;
    const YamlNode minimise = node["minimise"].Required();
    const std::size_t index = minimise.Choice(BudgetResources(), 0);
    goal.minimise = BudgetResources()[index];
    constexpr double kAll = 100.0;
    goal.accuracy_drop_percent =
        node["subject_to"].Required()["accuracy_drop"].Required().Number(0.0, {0.0, kAll});
    goal.confidence = node["confidence"].Number(goal.confidence, {0.5, 1.0, true, true});
    goal.max_evaluations = node["max_evaluations"].Integer(goal.max_evaluations, {1});
    experiment_.goal = goal;
  }

  void ReadSearch(const YamlNode& node) {
    SearchSection& search = experiment_.search;
    search.solver = node["solver"].String(search.solver);
    search.time_limit_s = node["time_limit_s"].Number(0.0, {0.0});
    search.gap = node["gap"].Number(0.0, {0.0, 1.0});
    search.frontier = Names(node["frontier"], {}, BudgetResources());
    search.max_points = node["max_points"].Integer(search.max_points, {2});
    search.measured_candidates =
        node["measured_candidates"].Integer(search.measured_candidates, {0});
  }

  void ReadBaselines(const YamlNode& node) {
    BaselineSection& section = experiment_.baselines;
    const std::vector<std::string> usual = {"fp32", "uniform", "random", "reversed"};
    if (!node.present() || node.is_list()) {
      section.lines = Names(node, usual, BaselineNames());
      return;
    }
    section.lines = Names(node["lines"], usual, BaselineNames());
    section.random_count = node["random_count"].Integer(section.random_count, {1});
    constexpr double kAll = 100.0;
    section.random_tolerance_percent =
        node["random_tolerance_percent"].Number(section.random_tolerance_percent, {0.0, kAll});
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
    train.output = Path(node["output"].Required());
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
    need(data, "search");
    need(data, "report");
    const QuantizationSpec& quantization = experiment_.quantization;
    if (quantization.placement != Placement::kWeightsOnly || quantization.bias_correction) {
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
    for (std::size_t i = 0; i < budgets().size(); ++i) {
      for (const BudgetLimit& limit : budgets()[i].limits) {
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

  std::vector<Budget>& budgets() { return experiment_.budgets; }

  ExperimentUse use_;
  std::string file_name_;
  fs::path folder_;
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

const std::vector<std::string>& CalibrationSteps() {
  static const std::vector<std::string> names = {"bias_correction"};
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
