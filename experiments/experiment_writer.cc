// Writes an experiment as YAML with nothing left to defaults. Must mirror experiment_reader.cc.
#include <fmt/format.h>
#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include "experiments/experiment.h"
#include "experiments/supernet_sections.h"

namespace bitsearch {
namespace {

/// A map under construction; numbers are written so that reading gives the same bits.
class Map {
 public:
  explicit Map(YAML::Emitter& out) : out_(out) { out_ << YAML::BeginMap; }
  Map(YAML::Emitter& out, const std::string& key) : out_(out) {
    out_ << YAML::Key << key << YAML::Value << YAML::BeginMap;
  }
  Map(const Map&) = delete;
  Map& operator=(const Map&) = delete;
  ~Map() { out_ << YAML::EndMap; }

  void Text(const std::string& key, const std::string& value) {
    // A string that reads as a number or as null needs its quotes.
    out_ << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << value;
  }
  void Path(const std::string& key, const std::filesystem::path& value) {
    if (!value.empty()) Text(key, value.string());
  }
  void Paths(const std::string& key, const std::vector<std::filesystem::path>& values) {
    out_ << YAML::Key << key << YAML::Value << YAML::Flow << YAML::BeginSeq;
    for (const std::filesystem::path& value : values) out_ << YAML::DoubleQuoted << value.string();
    out_ << YAML::EndSeq;
  }
  template <typename T>
  void Number(const std::string& key, T value) {
    out_ << YAML::Key << key << YAML::Value << fmt::format("{}", value);
  }
  void Boolean(const std::string& key, bool value) {
    out_ << YAML::Key << key << YAML::Value << (value ? "true" : "false");
  }
  void List(const std::string& key, const std::vector<std::string>& values) {
    out_ << YAML::Key << key << YAML::Value << YAML::Flow << YAML::BeginSeq;
    for (const std::string& value : values) out_ << value;
    out_ << YAML::EndSeq;
  }
  template <typename T>
  void Numbers(const std::string& key, const std::vector<T>& values) {
    std::vector<std::string> texts;
    for (const T value : values) texts.push_back(fmt::format("{}", value));
    List(key, texts);
  }
  void Formats(const std::string& key, const std::vector<NumberFormat>& formats) {
    std::vector<std::string> texts;
    for (const NumberFormat format : formats) texts.push_back(format.ToString());
    List(key, texts);
  }

 private:
  YAML::Emitter& out_;
};

void WriteSplit(YAML::Emitter& out, const std::string& key, const std::optional<DataSpec>& spec) {
  if (!spec.has_value()) return;
  Map map(out, key);
  std::string source = std::string(NameOf(spec->kind)) + ":";
  for (std::size_t i = 0; i < spec->paths.size(); ++i) {
    source += (i == 0 ? "" : ",") + spec->paths[i].string();
  }
  map.Text("source", source);
  map.Numbers("mean", spec->mean);
  map.Numbers("std", spec->std);
  map.Number("first", spec->first);
  if (spec->samples >= 0) map.Number("samples", spec->samples);
}

void WriteRange(Map& map, const RangeSpec& range) {
  map.Text("range", NameOf(range.method));
  if (range.method == RangeMethod::kPercentile) map.Number("percentile", range.percentile);
}

void WriteQuantization(YAML::Emitter& out, Map& root, const QuantizationSpec& quantization) {
  {
    const Map quantizer(out, "quantizer");
    {
      const WeightQuantizerSpec& weight = quantization.weight;
      Map map(out, "weights");
      const bool grouped = weight.granularity == Granularity::kPerGroup;
      map.Text("granularity", NameOf(weight.granularity));
      if (grouped) map.Number("group_size", weight.group_size);
      map.Boolean("symmetric", weight.symmetric);
      map.Boolean("narrow", weight.narrow);
      WriteRange(map, weight.range);
    }
    Map map(out, "activations");
    map.Boolean("symmetric", quantization.activation.symmetric);
    WriteRange(map, quantization.activation.range);
  }
  root.List("calibration", NamesOf(quantization.calibration));
}

void WriteSpace(YAML::Emitter& out, const SpaceSection& space, Placement placement) {
  Map map(out, "space");
  map.Text("placement", std::string(NameOf(placement)));
  map.Formats("weight_bits", space.weight_bits);
  map.Formats("activation_bits", space.activation_bits);
  map.Boolean("equal_bits", space.equal_bits);
  if (space.pins.empty()) return;
  const Map pins(out, "pins");
  for (const Pin& pin : space.pins) {
    Map entry(out, pin.glob);
    if (pin.weight.has_value()) entry.Text("weight", pin.weight->ToString());
    if (pin.activation.has_value()) entry.Text("activation", pin.activation->ToString());
  }
}

void WriteBudgets(YAML::Emitter& out, const std::vector<Budget>& budgets) {
  if (budgets.empty()) return;
  out << YAML::Key << "budgets" << YAML::Value << YAML::BeginSeq;
  for (const Budget& budget : budgets) {
    Map map(out);
    map.Text("name", budget.name);
    for (const BudgetLimit& limit : budget.limits) map.Text(limit.resource, limit.ToString());
  }
  out << YAML::EndSeq;
}

void WriteTrain(YAML::Emitter& out, const TrainSection& train) {
  Map map(out, "train");
  map.Number("epochs", train.epochs);
  map.Number("batch_size", train.batch_size);
  map.Number("learning_rate", train.learning_rate);
  map.Number("warmup_epochs", train.warmup_epochs);
  map.Number("momentum", train.momentum);
  map.Number("weight_decay", train.weight_decay);
  map.Number("label_smoothing", train.label_smoothing);
  map.Number("crop_padding", train.crop_padding);
  map.Boolean("flip", train.flip);
  map.Path("output", train.output);
}

void WriteSensitivityAndCosts(YAML::Emitter& out, const Experiment& experiment) {
  {
    Map map(out, "sensitivity");
    if (experiment.sensitivity.file.empty()) map.Text("method", experiment.sensitivity.method);
    map.Number("samples", experiment.sensitivity.samples);
    map.Number("probes", experiment.sensitivity.probes);
    map.Text("score", experiment.sensitivity.score);
    map.Text("pairs", ToString(experiment.sensitivity.pairs));
    map.Number("redraws", experiment.sensitivity.redraws);
    map.Path("file", experiment.sensitivity.file);
  }
  if (experiment.costs.latency_file.empty() && experiment.costs.capabilities_file.empty()) return;
  Map costs(out, "costs");
  costs.Path("capabilities", experiment.costs.capabilities_file);
  if (experiment.costs.latency_file.empty()) return;
  Map latency(out, "latency");
  latency.Path("table", experiment.costs.latency_file);
  latency.Path("transitions", experiment.costs.transitions_file);
  latency.Text("missing",
               experiment.costs.missing == MissingPolicy::kError ? "error" : "interpolate");
}

}  // namespace

std::string ExperimentText(const Experiment& experiment) {
  YAML::Emitter out;
  {
    Map root(out);
    root.Text("name", experiment.name);
    root.Number("seed", experiment.seed);
    root.Number("threads", experiment.threads);
    root.Text("device", experiment.device);
    {
      Map model(out, "model");
      model.Path("file", experiment.model.file);
      if (!experiment.model.builtin.empty()) model.Text("builtin", experiment.model.builtin);
      model.Boolean("fold_batch_norm", experiment.model.fold_batch_norm);
    }
    {
      const Map data(out, "data");
      WriteSplit(out, "train", experiment.data.train);
      WriteSplit(out, "validation", experiment.data.validation);
      WriteSplit(out, "calibration", experiment.data.calibration);
      WriteSplit(out, "search", experiment.data.search);
      WriteSplit(out, "report", experiment.data.report);
    }
    WriteQuantization(out, root, experiment.quantization);
    WriteSpace(out, experiment.space, experiment.quantization.placement);
    WriteSensitivityAndCosts(out, experiment);
    WriteBudgets(out, experiment.budgets);
    if (experiment.goal.has_value()) {
      Map goal(out, "goal");
      goal.Text("minimise", experiment.goal->minimise);
      {
        Map subject_to(out, "subject_to");
        subject_to.Number(experiment.goal->limited(), experiment.goal->largest_drop_percent);
      }
      goal.Number("confidence", experiment.goal->confidence);
      goal.Number("max_evaluations", experiment.goal->max_evaluations);
    }
    {
      Map search(out, "search");
      search.Text("solver", experiment.search.solver);
      search.Number("time_limit_s", experiment.search.time_limit_s);
      search.Number("gap", experiment.search.gap);
      search.List("frontier", experiment.search.frontier);
      search.Number("max_points", experiment.search.max_points);
      if (experiment.predictor.has_value()) {
        const PredictorSection& predictor = *experiment.predictor;
        search.Text("method", "predictor");
        search.Number("cheap_evaluations", predictor.cheap_evaluations);
        search.Number("cheap_samples", predictor.cheap_samples);
        search.Number("expensive_evaluations", predictor.expensive_evaluations);
        search.Number("held_out", predictor.held_out);
        search.Number("evaluations", predictor.evaluations);
        search.Number("evaluate_best", predictor.evaluate_best);
      } else if (experiment.dnas.has_value()) {
        search.Text("method", "dnas");
        WriteDnasSection(out, *experiment.dnas);
      } else {
        search.Number("measured_candidates", experiment.search.measured_candidates);
      }
      if (!experiment.search.start.empty()) search.Paths("start", experiment.search.start);
    }
    {
      Map baselines(out, "baselines");
      baselines.List("lines", experiment.baselines.lines);
      baselines.Number("random_count", experiment.baselines.random_count);
      baselines.Number("random_tolerance_percent", experiment.baselines.random_tolerance_percent);
    }
    if (experiment.finetune.has_value()) {
      const Map finetune(out, "finetune");
      WriteFineTuneSection(out, *experiment.finetune);
    }
    if (experiment.train.has_value()) WriteTrain(out, *experiment.train);
  }
  return std::string(out.c_str()) + "\n";
}

}  // namespace bitsearch
