#include "experiments/benchmarks/ranking_study/scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <sstream>
#include <utility>

#include "experiments/benchmarks/ranking_study/measurement.h"
#include "sensitivity/interactions.h"
#include "sensitivity/measure.h"
#include "sensitivity/measured_pairs.h"
#include "sensitivity/perturbation.h"
#include "sensitivity/quantization_errors.h"
#include "sensitivity/second_order.h"
#include "space/hardware/costs.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

// Records of the estimators that cost one double backward per vector and layer.
constexpr std::int64_t kTraceRecords = 256;
constexpr std::int64_t kSecondOrderRecords = 512;
constexpr std::int64_t kPairRecords = 256;

std::vector<std::vector<BitChoice>> ChoicesOf(const ScoreInputs& inputs) {
  std::vector<BitChoice> choices;
  for (int b = inputs.bands.least_bits; b <= inputs.bands.most_bits; ++b) {
    choices.push_back({NumberFormat::Integer(b), inputs.activation});
  }
  return std::vector(inputs.network.graph().layers().size(), choices);
}

std::string ToText(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += fmt::format("{} ", value);
  return text;
}

// Columns one after the other; what is journaled is not computed again.
class Columns {
 public:
  explicit Columns(const ScoreInputs& inputs) : inputs_(inputs) {}

  // False if `names` are all journaled.
  bool Wants(const std::vector<std::string>& names) const {
    return !std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      const auto text = inputs_.known(name);
      const auto values = text ? ParseColumn(*text) : std::nullopt;
      return values && values->size() == inputs_.configs.size();
    });
  }

  void Add(const std::string& name, const std::function<double(const BitConfig&)>& score) {
    if (!Wants({name})) return;
    std::vector<double> values;
    for (const BitConfig& config : inputs_.configs) values.push_back(score(config));
    inputs_.record(name, ToText(values));
    inputs_.context.progress->Log("score: " + name);
  }

 private:
  const ScoreInputs& inputs_;
};

// KL, on the records of the sensitivities, of uniform configurations with one layer at other bits:
// one-layer effects in the company of quantized layers instead of float ones.
SensitivityReport InCompany(const ScoreInputs& inputs, const Dataset& data, int company_bits) {
  const BlockMeasurement measurement(inputs.network, data);
  const auto& layers = inputs.network.graph().layers();
  const BitConfig company =
      BitConfig::Uniform(layers.size(), {NumberFormat::Integer(company_bits), inputs.activation});
  const auto kl = [&](const BitConfig& config) {
    double sum = 0.0;
    for (const double block : measurement.Measure(config).kl_nats) sum += block;
    return sum / static_cast<double>(data.size());
  };
  const double base = kl(company);
  SensitivityReport report;
  const std::vector<std::vector<BitChoice>> choices = ChoicesOf(inputs);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    report.layers.push_back({layers[l].id, {}});
    for (const BitChoice& choice : choices[l]) {
      BitConfig config = company;
      config.choices[l] = choice;
      report.layers[l].choices.push_back(
          {choice, choice == company.choices[l] ? 0.0 : kl(config) - base, std::nullopt});
    }
  }
  return report;
}

const std::vector<std::pair<std::string, PairRequest>> kMeasuredPairs = {
    {"kl + measured pairs, neighbours", {PairRequest::Kind::kNeighbours, 0}},
    {"kl + measured pairs, 2000 runs", {PairRequest::Kind::kWithin, 2000}}};

struct CurvatureMethod {
  const char* name;
  std::int64_t probes;  // Hessian products, vectors, iterations.
  bool all_records;
};

constexpr std::array<CurvatureMethod, 8> kCurvatureMethods = {{{"gauss-newton", 1, true},
                                                               {"gauss-newton-sampled", 2, true},
                                                               {"fisher", 1, true},
                                                               {"hutchpp", 12, false},
                                                               {"xtrace", 12, false},
                                                               {"eigenvalue", 20, false},
                                                               {"hutchinson", 16, false},
                                                               {"hutchinson-joint", 64, false}}};

void AddPerturbations(const ScoreInputs& inputs, Columns& columns) {
  if (!columns.Wants({"loss", "kl", "output-mse", "kl + cross terms, neighbours",
                      "kl + cross terms, all", "kl of summed logit shifts", kMeasuredPairs[0].first,
                      kMeasuredPairs[1].first})) {
    return;
  }
  const auto choices = ChoicesOf(inputs);
  PerturbationOptions options;
  options.keep_samples = true;
  const std::vector<PerturbationRow> rows =
      MeasurePerturbations(inputs.network, inputs.data, choices, options, inputs.context);
  std::vector<std::string> names;
  for (const Layer& layer : inputs.network.graph().layers()) names.push_back(layer.id);
  const auto report_of = [&](Estimate PerturbationRow::*what) {
    SensitivityReport report;
    for (const std::string& name : names) report.layers.push_back({name, {}});
    for (const PerturbationRow& row : rows) {
      report.layers[row.layer.value].choices.push_back(
          {row.choice, (row.*what).value, (row.*what).standard_error});
    }
    return report;
  };
  const auto add = [&](const std::string& name, const SensitivityReport& report) {
    columns.Add(name, [&](const BitConfig& config) { return ScoreOf(report, config, true); });
  };
  add("loss", report_of(&PerturbationRow::loss_increase_nats));
  add("kl", report_of(&PerturbationRow::kl_nats));
  add("output-mse", report_of(&PerturbationRow::output_mse));
  std::vector<float> reference =
      FloatLogProbabilities(inputs.network, inputs.data, options, inputs.context);
  const auto classes = static_cast<std::int64_t>(reference.size()) / inputs.data.size();
  LogitShifts shifts(std::move(reference), classes, names);
  for (const PerturbationRow& row : rows) shifts.Add(row.layer, row.choice, row.logit_shift);
  SensitivityReport report = report_of(&PerturbationRow::kl_nats);
  const std::vector<PairSensitivity> cross = shifts.CrossTerms();
  for (const bool neighbours : {true, false}) {
    report.pairs.clear();
    for (const PairSensitivity& pair : cross) {
      const std::size_t a = *report.FindLayer(pair.layer_a);
      const std::size_t b = *report.FindLayer(pair.layer_b);
      if (!neighbours || b == a + 1) report.pairs.push_back(pair);
    }
    add(neighbours ? "kl + cross terms, neighbours" : "kl + cross terms, all", report);
  }
  columns.Add("kl of summed logit shifts",
              [&](const BitConfig& config) { return shifts.PredictKl(config); });
  std::vector<std::vector<BitChoice>> effective = choices;
  for (std::size_t l = 0; l < effective.size(); ++l) {
    for (BitChoice& choice : effective[l]) {
      choice = EffectiveChoice(inputs.network, LayerIndex(l), choice);
    }
  }
  // What a pair adds must be seen against its layers' increases on the same records.
  SensitivityReport few_report = report;
  for (const PerturbationRow& row : rows) {
    double sum = 0.0;
    for (std::int64_t n = 0; n < kPairRecords; ++n) {
      sum += static_cast<double>(row.kl_per_sample[static_cast<std::size_t>(n)]);
    }
    for (ChoiceSensitivity& choice : few_report.layers[row.layer.value].choices) {
      if (choice.choice == row.choice) choice.loss_increase = sum / kPairRecords;
    }
  }
  for (const auto& [name, request] : kMeasuredPairs) {
    if (!columns.Wants({name})) continue;
    const std::vector<PairRow> measured =
        MeasurePairPerturbations(inputs.network, inputs.data.Slice(0, kPairRecords), choices,
                                 PairsToMeasure(report, request), {}, inputs.context);
    report.pairs = PairTerms(few_report, effective, measured, "kl");
    add(name, report);
  }
}

}  // namespace

double ScoreOf(const SensitivityReport& report, const BitConfig& config, bool with_pairs) {
  double sum = 0.0;
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    const auto& choices = report.layers[l].choices;
    const auto row = std::find_if(choices.begin(), choices.end(), [&](const auto& choice) {
      return choice.choice == config.choices[l];
    });
    if (row == choices.end()) {
      throw Error(ErrorId::kUsage, "no sensitivity of " + config.choices[l].ToString())
          .Key(report.layers[l].layer);
    }
    sum += row->loss_increase;
  }
  if (!with_pairs || report.pairs.empty()) return sum;
  std::map<std::string, BitChoice> chosen;
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    chosen[report.layers[l].layer] = config.choices[l];
  }
  for (const PairSensitivity& pair : report.pairs) {
    if (chosen.at(pair.layer_a) == pair.choice_a && chosen.at(pair.layer_b) == pair.choice_b) {
      sum += pair.loss_increase;
    }
  }
  return sum;
}

const std::vector<std::string>& BlindNames() {
  static const std::vector<std::string> names = {"size", "mean bits", "4^-bits", "squared error"};
  return names;
}

const std::vector<std::string>& MeasuredNames() {
  static const std::vector<std::string> names = {"loss",
                                                 "kl",
                                                 "output-mse",
                                                 "second-order",
                                                 "kl in the company of 4 bits",
                                                 "kl in the company of 5 bits",
                                                 "kl + cross terms, neighbours",
                                                 "kl + cross terms, all",
                                                 "kl of summed logit shifts",
                                                 kMeasuredPairs[0].first,
                                                 kMeasuredPairs[1].first};
  return names;
}

const std::vector<std::string>& CurvatureNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const CurvatureMethod& method : kCurvatureMethods) all.emplace_back(method.name);
    return all;
  }();
  return names;
}

std::optional<std::vector<double>> ParseColumn(const std::string& text) {
  std::istringstream in(text);
  std::vector<double> values;
  for (double value = 0.0; in >> value;) values.push_back(value);
  if (values.empty()) return std::nullopt;
  return values;
}

void AddBlindColumns(const ScoreInputs& inputs) {
  Columns columns(inputs);
  const LayerGraph& graph = inputs.network.graph();
  columns.Add("size", [&](const BitConfig& config) {
    return -static_cast<double>(TotalSizeBits(graph, config));
  });
  columns.Add("mean bits", [&](const BitConfig& config) {
    double sum = 0.0;
    for (const BitChoice& choice : config.choices) sum += choice.weight.bits();
    return -sum / static_cast<double>(config.choices.size());
  });
  columns.Add("4^-bits", [&](const BitConfig& config) {
    double sum = 0.0;
    for (const BitChoice& choice : config.choices) sum += std::pow(4.0, -choice.weight.bits());
    return sum;
  });
  const QuantizationErrors errors = MeasureQuantizationErrors(
      inputs.network, inputs.data.Slice(0, 1), ChoicesOf(inputs), inputs.context);
  columns.Add("squared error", [&](const BitConfig& config) {
    double sum = 0.0;
    for (std::size_t l = 0; l < config.choices.size(); ++l) {
      sum += errors.weight[l].at(config.choices[l].weight);
    }
    return sum;
  });
}

void AddCurvatureColumns(const ScoreInputs& inputs) {
  Columns columns(inputs);
  const Dataset few = inputs.data.Slice(0, kTraceRecords);
  for (const auto& [method, probes, all] : kCurvatureMethods) {
    if (!columns.Wants({method})) continue;
    SensitivityPlan plan;
    plan.method = method;
    plan.probes = probes;
    plan.choices = ChoicesOf(inputs);
    const MeasuredSensitivity measured =
        MeasureSensitivity(inputs.network, all ? inputs.data : few, plan, inputs.context);
    columns.Add(method,
                [&](const BitConfig& config) { return ScoreOf(measured.report, config, false); });
  }
}

void AddMeasuredColumns(const ScoreInputs& inputs) {
  Columns columns(inputs);
  const Dataset few = inputs.data.Slice(0, kSecondOrderRecords);
  if (columns.Wants({"second-order"})) {
    SensitivityPlan plan;
    plan.method = "second-order";
    plan.choices = ChoicesOf(inputs);
    const SensitivityReport report =
        MeasureSensitivity(inputs.network, few, plan, inputs.context).report;
    columns.Add("second-order",
                [&](const BitConfig& config) { return ScoreOf(report, config, false); });
  }
  for (const int bits : {4, 5}) {
    const std::string name = fmt::format("kl in the company of {} bits", bits);
    if (!columns.Wants({name})) continue;
    const SensitivityReport report = InCompany(inputs, inputs.data, bits);
    columns.Add(name, [&](const BitConfig& config) { return ScoreOf(report, config, false); });
  }
  AddPerturbations(inputs, columns);
}

}  // namespace bitsearch
