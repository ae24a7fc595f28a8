#include "sensitivity/scores.h"

#include <cmath>
#include <optional>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr NumberFormat kFloat = NumberFormat::Float32();

// Curvature per squared unit of error, with its standard error.
struct Factor {
  double value = 0.0;
  double standard_error = 0.0;
};

struct Factors {
  std::vector<std::optional<Factor>> weight;
  std::vector<std::optional<Factor>> activation;
};

Factors FactorsOf(const LayerGraph& graph, std::span<const TraceEstimate> traces, double scale,
                  bool per_element) {
  Factors factors;
  factors.weight.resize(graph.layers().size());
  factors.activation.resize(graph.layers().size());
  for (const TraceEstimate& trace : traces) {
    const double per = per_element ? scale / static_cast<double>(trace.elements) : scale;
    const double error = std::isnan(trace.total_standard_error) ? trace.probe_standard_error
                                                                : trace.total_standard_error;
    auto& target = trace.of == CurvatureOf::kWeight ? factors.weight : factors.activation;
    target[trace.layer.value] = Factor{per * trace.trace, per * error};
  }
  return factors;
}

double ErrorOf(const std::map<NumberFormat, double>& errors, NumberFormat format,
               const Layer& layer) {
  const auto found = errors.find(format);
  if (found == errors.end()) {
    throw Error(ErrorId::kInternal, "no quantization error for " + format.ToString())
        .Key(layer.id);
  }
  return found->second;
}

SensitivityReport Combine(const LayerGraph& graph, const Factors& factors,
                          const QuantizationErrors& errors,
                          std::span<const std::vector<BitChoice>> choices) {
  SensitivityReport report;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer& layer = graph.layers()[l];
    LayerSensitivity rows{layer.id, {}};
    for (const BitChoice& choice : choices[l]) {
      double value = 0.0;
      double variance = 0.0;
      const auto add = [&](const std::optional<Factor>& factor, double squared_error) {
        value += factor->value * squared_error;
        variance += std::pow(factor->standard_error * squared_error, 2.0);
      };
      if (factors.weight[l] && choice.weight != kFloat) {
        add(factors.weight[l], ErrorOf(errors.weight[l], choice.weight, layer));
      }
      if (factors.activation[l] && choice.activation != kFloat) {
        add(factors.activation[l], ErrorOf(errors.activation[l], choice.activation, layer));
      }
      ChoiceSensitivity row{choice, value, std::nullopt};
      if (!std::isnan(variance)) row.standard_error = std::sqrt(variance);
      rows.choices.push_back(row);
    }
    report.layers.push_back(std::move(rows));
  }
  return report;
}

void AddNotes(SensitivityReport& report, std::span<const TraceEstimate> traces,
              std::span<const std::vector<BitChoice>> choices, const std::string& formula) {
  bool weights = false;
  bool activations = false;
  for (const TraceEstimate& trace : traces) {
    (trace.of == CurvatureOf::kWeight ? weights : activations) = true;
  }
  report.notes.emplace_back("normalisation", formula);
  report.notes.emplace_back("weights", weights ? "squared error summed over the tensor"
                                               : "not scored");
  report.notes.emplace_back(
      "activations", activations ? "curvature and summed squared error of one record's input, each "
                                   "the mean over the records"
                                 : "not scored");
  for (const auto& of_layer : choices) {
    for (const BitChoice& choice : of_layer) {
      if (choice.weight.bits() >= 3 && choice.activation.bits() >= 3) continue;
      report.notes.emplace_back(
          "caution", "a quadratic model is not to be trusted below 3 bits: it can be many times "
                     "too low there; compare --method perturbation");
      return;
    }
  }
}

}  // namespace

SensitivityReport ScoreCurvature(const LayerGraph& graph, std::span<const TraceEstimate> traces,
                                 const QuantizationErrors& errors,
                                 std::span<const std::vector<BitChoice>> choices,
                                 CurvatureScore score) {
  const bool half = score == CurvatureScore::kHalf;
  SensitivityReport report =
      Combine(graph, FactorsOf(graph, traces, half ? 0.5 : 1.0, true), errors, choices);
  AddNotes(report, traces, choices,
           half ? "loss_increase = 1/2 * (trace / elements) * squared error, in nats"
                : "loss_increase = (trace / elements) * squared error: HAWQ's omega, twice the "
                  "expected increase in nats");
  return report;
}

SensitivityReport ScoreEigenvalues(const LayerGraph& graph, std::span<const TraceEstimate> traces,
                                   const QuantizationErrors& errors,
                                   std::span<const std::vector<BitChoice>> choices,
                                   CurvatureScore score) {
  const bool half = score == CurvatureScore::kHalf;
  SensitivityReport report =
      Combine(graph, FactorsOf(graph, traces, half ? 0.5 : 1.0, false), errors, choices);
  AddNotes(report, traces, choices,
           half ? "loss_increase = 1/2 * largest eigenvalue * squared error: an upper bound of the "
                  "second-order term, in nats"
                : "loss_increase = largest eigenvalue * squared error");
  return report;
}

}  // namespace bitsearch
