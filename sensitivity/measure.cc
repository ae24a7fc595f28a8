#include "sensitivity/measure.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <utility>

#include "sensitivity/curvature_torch.h"
#include "sensitivity/eigenvalues.h"
#include "sensitivity/gauss_newton.h"
#include "sensitivity/hutchinson.h"
#include "sensitivity/measured_pairs.h"
#include "sensitivity/perturbation.h"
#include "sensitivity/quantization_errors.h"
#include "sensitivity/second_order.h"
#include "sensitivity/sketched_traces.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

// Items are kept as numbers with blanks between, the fewest digits that read back equal.
std::string Pack(const std::vector<double>& numbers) {
  std::string text;
  for (const double number : numbers) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    text.append(text.empty() ? "" : " ").append(digits, end);
  }
  return text;
}

std::optional<std::vector<double>> Unpack(const std::optional<std::string>& text,
                                          std::size_t count) {
  if (!text) return std::nullopt;
  std::vector<double> numbers;
  const char* at = text->data();
  const char* const end = at + text->size();
  while (at < end) {
    double number = 0.0;
    const auto result = std::from_chars(at, end, number);
    if (result.ec != std::errc()) return std::nullopt;
    numbers.push_back(number);
    at = result.ptr;
    while (at < end && *at == ' ') ++at;
  }
  // What another version wrote is measured again.
  return numbers.size() == count ? std::optional(std::move(numbers)) : std::nullopt;
}

class Measurer {
 public:
  Measurer(const CalibratedNetwork& network, const Dataset& data, const SensitivityPlan& plan,
           const RunContext& context)
      : network_(network), data_(data), plan_(plan), context_(context) {}

  MeasuredSensitivity Run() {
    const std::string& method = plan_.method;
    if (method == "perturbation" || method == "kl" || method == "loss" || method == "output-mse") {
      return Perturbation();
    }
    if (method == "second-order") return SecondOrder();
    return Curvature();
  }

 private:
  const LayerGraph& graph() const { return network_.graph(); }
  bool activations() const { return network_.spec().placement != Placement::kWeightsOnly; }

  SensitivityReport EmptyReport(const std::string& what) const {
    SensitivityReport report;
    report.notes = {{"method", plan_.method},
                    {"meaning", what},
                    {"samples", std::to_string(data_.size())},
                    {"batch_size", std::to_string(plan_.batch_size)},
                    {"seed", std::to_string(context_.root_seed)},
                    {"unit", "nats"},
                    {"folding",
                     "batch normalisation folded before quantization; traces and errors "
                     "are those of the folded weights"},
                    {"calibration_steps", StepsText(network_.spec().calibration)}};
    return report;
  }

  std::string Key(LayerIndex layer, const BitChoice& choice) const {
    return plan_.method + "|" + graph().layer(layer).id + "|" + choice.ToString();
  }

  std::optional<std::string> Known(const std::string& key) const {
    return plan_.known ? plan_.known(key) : std::nullopt;
  }

  void AddRow(SensitivityReport& report, LayerIndex layer, const BitChoice& choice,
              const Estimate& value) const {
    while (report.layers.size() <= layer.value) {
      report.layers.push_back({graph().layers()[report.layers.size()].id, {}});
    }
    ChoiceSensitivity row{choice, value.value, std::nullopt};
    if (!std::isnan(value.standard_error)) row.standard_error = value.standard_error;
    report.layers[layer.value].choices.push_back(row);
  }

  MeasuredSensitivity Perturbation() {
    PerturbationOptions options;
    options.batch_size = plan_.batch_size;
    // Direct methods share their items: one run shows all three.
    const auto key = [this](LayerIndex layer, const BitChoice& choice) {
      return "perturbation|" + graph().layer(layer).id + "|" + choice.ToString();
    };
    options.known = [&](LayerIndex layer,
                        const BitChoice& choice) -> std::optional<PerturbationRow> {
      const auto n = Unpack(Known(key(layer, choice)), 6);
      if (!n) return std::nullopt;
      return PerturbationRow{
          layer, choice, {(*n)[0], (*n)[1]}, {(*n)[2], (*n)[3]}, {(*n)[4], (*n)[5]}, {}, {}};
    };
    options.record = [&](const PerturbationRow& row) {
      if (!plan_.record) return;
      plan_.record(key(row.layer, row.choice),
                   Pack({row.kl_nats.value, row.kl_nats.standard_error,
                         row.loss_increase_nats.value, row.loss_increase_nats.standard_error,
                         row.output_mse.value, row.output_mse.standard_error}));
    };
    const auto rows = MeasurePerturbations(network_, data_, plan_.choices, options, context_);
    const bool loss = plan_.method == "loss";
    const bool mse = plan_.method == "output-mse";
    MeasuredSensitivity result;
    result.report = EmptyReport(
        loss  ? "increase of the cross-entropy, one layer quantized at a time, the others float"
        : mse ? "squared difference of the logits, mean over the classes, one layer quantized at a "
                "time, the others float; not in nats"
              : "KL divergence to the float network, one layer quantized at a time, the others "
                "float");
    for (const PerturbationRow& row : rows) {
      AddRow(result.report, row.layer, row.choice,
             loss  ? row.loss_increase_nats
             : mse ? row.output_mse
                   : row.kl_nats);
    }
    MeasurePairs(result.report);
    return result;
  }

  void MeasurePairs(SensitivityReport& report) const {
    const std::vector<LayerPair> pairs = PairsToMeasure(report, plan_.pairs);
    if (pairs.empty()) return;
    PairPerturbationOptions options;
    options.batch_size = plan_.batch_size;
    const auto key = [this](const LayerPair& layers, const BitChoice& a, const BitChoice& b) {
      return "pair|" + graph().layer(layers.first).id + "|" + a.ToString() + "|" +
             graph().layer(layers.second).id + "|" + b.ToString();
    };
    options.known = [&](const LayerPair& layers, const BitChoice& a,
                        const BitChoice& b) -> std::optional<PairRow> {
      const auto n = Unpack(Known(key(layers, a, b)), 6);
      if (!n) return std::nullopt;
      return PairRow{layers, a, b, {(*n)[0], (*n)[1]}, {(*n)[2], (*n)[3]}, {(*n)[4], (*n)[5]}};
    };
    options.record = [&](const PairRow& row) {
      if (!plan_.record) return;
      plan_.record(key(row.layers, row.first, row.second),
                   Pack({row.kl_nats.value, row.kl_nats.standard_error,
                         row.loss_increase_nats.value, row.loss_increase_nats.standard_error,
                         row.output_mse.value, row.output_mse.standard_error}));
    };
    const std::vector<PairRow> rows =
        MeasurePairPerturbations(network_, data_, plan_.choices, pairs, options, context_);
    std::vector<std::vector<BitChoice>> effective = plan_.choices;
    for (std::size_t l = 0; l < effective.size(); ++l) {
      for (BitChoice& choice : effective[l]) {
        choice = EffectiveChoice(network_, LayerIndex(l), choice);
      }
    }
    report.pairs = PairTerms(report, effective, rows, plan_.method);
    report.notes.emplace_back("pairs", std::to_string(pairs.size()) + " of layers, " +
                                           std::to_string(rows.size()) + " runs");
  }

  MeasuredSensitivity SecondOrder() {
    SecondOrderOptions options;
    options.batch_size = plan_.batch_size;
    options.known = [&](LayerIndex layer,
                        const BitChoice& choice) -> std::optional<SecondOrderRow> {
      const auto n = Unpack(Known(Key(layer, choice)), 6);
      if (!n) return std::nullopt;
      return SecondOrderRow{
          layer, choice, {(*n)[0], (*n)[1]}, {(*n)[2], (*n)[3]}, {(*n)[4], (*n)[5]}};
    };
    options.record = [&](const SecondOrderRow& row) {
      if (!plan_.record) return;
      plan_.record(Key(row.layer, row.choice),
                   Pack({row.first.value, row.first.standard_error, row.second.value,
                         row.second.standard_error, row.sum.value, row.sum.standard_error}));
    };
    MeasuredSensitivity result;
    result.report = EmptyReport(
        "g'D + 1/2 D'HD with the quantization error D itself, one layer at "
        "a time; not to be trusted below 3 bits");
    for (const SecondOrderRow& row :
         SecondOrderIncreases(network_, data_, plan_.choices, options, context_)) {
      AddRow(result.report, row.layer, row.choice, row.sum);
    }
    return result;
  }

  // Observations are kept under their estimator's name, so that another score or more probes find
  // them again.
  TraceJournal MakeJournal() const {
    const auto key = [this](const ObservationKey& k) {
      return plan_.method + "|" + (k.of == CurvatureOf::kWeight ? "w" : "a") + "|" +
             graph().layer(k.layer).id + "|" + std::to_string(k.batch) + "|" +
             std::to_string(k.round);
    };
    TraceJournal journal;
    if (plan_.known) {
      journal.known = [this, key](const ObservationKey& k) -> std::optional<TraceObservation> {
        const auto n = Unpack(plan_.known(key(k)), 6);
        if (!n) return std::nullopt;
        return TraceObservation{k,       std::llround((*n)[0]), (*n)[1], (*n)[2], (*n)[3],
                                (*n)[4], std::llround((*n)[5])};
      };
    }
    if (plan_.record) {
      journal.record = [this, key](const TraceObservation& seen) {
        plan_.record(key(seen.key),
                     Pack({static_cast<double>(seen.samples), seen.value, seen.probe_variance,
                           seen.degrees, seen.sample_variance, static_cast<double>(seen.probes)}));
      };
    }
    return journal;
  }

  TraceStopping Stopping(std::int64_t rounds) const {
    const bool adaptive = plan_.relative_error > 0.0 || plan_.time_limit_s > 0.0;
    return {rounds, adaptive ? 64 * rounds : rounds, plan_.relative_error, plan_.time_limit_s};
  }

  std::vector<TraceObservation> Observe(CurvatureOf of) const {
    const std::string& method = plan_.method;
    const Network& network = network_.network();
    if (method == "hutchinson" || method == "hessian" || method == "hutchinson-joint") {
      HutchinsonOptions options;
      options.of = of;
      options.joint = method == "hutchinson-joint";
      options.batch_size = plan_.batch_size;
      options.stopping = Stopping(plan_.probes);
      options.journal = MakeJournal();
      return HutchinsonTraces(network, data_, options, context_);
    }
    SketchOptions options;
    options.method = method == "xtrace" ? Sketch::kXTrace : Sketch::kHutchPlusPlus;
    options.of = of;
    options.batch_size = plan_.batch_size;
    options.products = plan_.probes;
    options.stopping = Stopping(1);
    options.journal = MakeJournal();
    return SketchedTraces(network, data_, options, context_);
  }

  std::vector<TraceObservation> ObserveFirstOrder() const {
    OutputCurvatureOptions options;
    options.method = plan_.method == "fisher"         ? OutputCurvature::kEmpiricalFisher
                     : plan_.method == "gauss-newton" ? OutputCurvature::kGaussNewton
                                                      : OutputCurvature::kGaussNewtonSampled;
    options.activations = activations();
    options.batch_size = plan_.batch_size;
    options.draws = plan_.probes;
    options.relative_error = plan_.relative_error;
    options.journal = MakeJournal();
    return OutputCurvatureTraces(network_.network(), data_, options, context_);
  }

  std::vector<TraceEstimate> Eigenvalues(CurvatureOf of) const {
    EigenvalueOptions options;
    options.of = of;
    options.batch_size = plan_.batch_size;
    options.most_iterations = plan_.probes;
    if (plan_.relative_error > 0.0) options.relative_error = plan_.relative_error;
    return LargestEigenvalues(network_.network(), data_, options, context_);
  }

  std::vector<TraceEstimate> Traces() const {
    std::vector<TraceEstimate> traces;
    std::vector<CurvatureOf> tensors = {CurvatureOf::kWeight};
    if (activations()) tensors.push_back(CurvatureOf::kActivation);
    if (plan_.method == "eigenvalue") {
      for (const CurvatureOf of : tensors) {
        for (const TraceEstimate& found : Eigenvalues(of)) traces.push_back(found);
      }
      return traces;
    }
    const bool first_order = plan_.method == "fisher" || plan_.method.starts_with("gauss-newton");
    std::vector<TraceObservation> all;
    if (first_order) all = ObserveFirstOrder();
    for (const CurvatureOf of : tensors) {
      if (!first_order) all = Observe(of);
      for (std::size_t l = 0; l < graph().layers().size(); ++l) {
        std::vector<TraceObservation> own;
        std::copy_if(all.begin(), all.end(), std::back_inserter(own), [&](const auto& seen) {
          return seen.key.layer.value == l && seen.key.of == of;
        });
        if (own.empty()) continue;
        traces.push_back(Summarise(own, ElementsOf(graph(), LayerIndex(l), of)));
      }
    }
    return traces;
  }

  MeasuredSensitivity Curvature() {
    MeasuredSensitivity result;
    result.traces = Traces();
    const QuantizationErrors errors =
        MeasureQuantizationErrors(network_, data_, plan_.choices, context_, plan_.batch_size);
    const SensitivityReport scored =
        plan_.method == "eigenvalue"
            ? ScoreEigenvalues(graph(), result.traces, errors, plan_.choices, plan_.score)
            : ScoreCurvature(graph(), result.traces, errors, plan_.choices, plan_.score);
    result.report = EmptyReport("curvature times squared quantization error");
    result.report.notes.insert(result.report.notes.end(), scored.notes.begin(), scored.notes.end());
    if (plan_.method.starts_with("gauss-newton")) {
      bool same = true;
      for (std::size_t l = 0; l < graph().layers().size(); ++l) {
        same = same && HessianBlockIsGaussNewton(graph(), LayerIndex(l));
      }
      result.report.notes.emplace_back(
          "hessian", same ? "every block equals the Hessian's: all behind it is piecewise linear"
                          : "Gauss-Newton blocks; some differ from the Hessian's");
    }
    result.report.layers = scored.layers;
    return result;
  }

  const CalibratedNetwork& network_;
  const Dataset& data_;
  const SensitivityPlan& plan_;
  const RunContext& context_;
};

}  // namespace

MeasuredSensitivity MeasureSensitivity(const CalibratedNetwork& network, const Dataset& data,
                                       const SensitivityPlan& plan, const RunContext& context) {
  const auto& names = SensitivityMethodNames();
  if (std::find(names.begin(), names.end(), plan.method) == names.end()) {
    const std::string near = NearestName(plan.method, names);
    throw Error(ErrorId::kUsage, "sensitivity method '" + plan.method + "' does not exist")
        .Hint(near.empty() ? "use perturbation, hutchinson, hutchpp, xtrace, gauss-newton, fisher, "
                             "eigenvalue or second-order"
                           : "did you mean '" + near + "'?");
  }
  if (plan.choices.size() != network.graph().layers().size()) {
    throw Error(ErrorId::kUsage, "choices for " + std::to_string(plan.choices.size()) +
                                     " layers, the network has " +
                                     std::to_string(network.graph().layers().size()));
  }
  if (plan.pairs.kind != PairRequest::Kind::kNone && !SensitivityHasPairs(plan.method)) {
    throw Error(ErrorId::kUsage, "method '" + plan.method + "' measures no pairs of layers")
        .Hint("pairs go with kl, loss and output-mse");
  }
  if (SensitivityNeedsLabels(plan.method)) data.RequireLabels();
  return Measurer(network, data, plan, context).Run();
}

}  // namespace bitsearch
