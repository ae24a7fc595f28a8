#include "experiments/search_inputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/result_rows.h"
#include "sensitivity/sensitivity_report.h"
#include "space/support/error.h"
#include "space/support/hash.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

/// An evaluator together with its records.
class OwningEvaluator : public Evaluator {
 public:
  OwningEvaluator(QuantizationSession& session, Dataset data, const RunContext& context)
      : data_(std::move(data)),
        inner_(session.MakeEvaluator(data_, context, /*compare_with_float=*/true)) {}
  std::vector<Evaluation> Evaluate(std::span<const BitConfig> configs) override {
    return inner_->Evaluate(configs);
  }

 private:
  Dataset data_;
  std::unique_ptr<Evaluator> inner_;
};

/// The sections that decide what a configuration means on this network.
std::string QuantizationText(const Experiment& experiment, FileHashes* hashes) {
  Experiment relevant;
  relevant.device = experiment.device;
  relevant.model.fold_batch_norm = experiment.model.fold_batch_norm;
  relevant.quantization = experiment.quantization;
  return ExperimentText(relevant) + "model " + hashes->Of(experiment.model.file) +
         "\ncalibration " + hashes->Of(experiment.data.calibration);
}

std::vector<std::string> Names(const std::vector<std::pair<std::string, std::string>>& files) {
  std::vector<std::string> names;
  for (const auto& [name, text] : files) names.push_back(name);
  return names;
}

}  // namespace

const std::string& FileHashes::Of(const fs::path& path) {
  auto& hash = hashes_[path];
  if (hash.empty()) hash = Sha256OfFile(path);
  return hash;
}

std::string FileHashes::Of(const std::optional<DataSpec>& spec) {
  if (!spec.has_value()) return "none";
  std::string text = fmt::format("kind {} first {} samples {}", static_cast<int>(spec->kind),
                                 spec->first, spec->samples);
  for (const fs::path& path : spec->paths) text += " " + Of(path);
  for (const float value : spec->mean) text += fmt::format(" mean {}", value);
  for (const float value : spec->std) text += fmt::format(" std {}", value);
  return text;
}

QuantizationSession& LazySession::Get() {
  if (session_ != nullptr) return *session_;
  TorchBackend& backend = Backend();
  if (experiment_.data.calibration.has_value()) {
    calibration_ = Dataset::Load(*experiment_.data.calibration);
  }
  CalibrationRequest request;
  request.graph = network_.graph;
  request.statistics = network_.statistics;
  request.calibration = calibration_.has_value() ? &*calibration_ : nullptr;
  request.spec = experiment_.quantization;
  request.device = experiment_.device;
  session_ = backend.Calibrate(request, context_);
  return *session_;
}

TorchBackend& LazySession::Backend() {
  if (backend_ == nullptr) backend_ = factory_();
  return *backend_;
}

SearchInputs::SearchInputs(const Experiment& of, const NetworkProblem& on,
                           const BackendFactory& backend, const RunContext& context)
    : experiment(of),
      network(on),
      session(of, on, backend, context),
      cost_files(CostFiles(on)),
      cost_names(Names(cost_files)),
      quantization(QuantizationText(of, &hashes)) {}

JournalledEvaluator SearchInputs::On(const DataSpec& spec, const std::string& split,
                                     StageScope& scope) {
  return {scope, split, [this, spec, context = scope.context()]() -> std::unique_ptr<Evaluator> {
            return std::make_unique<OwningEvaluator>(session.Get(), Dataset::Load(spec), context);
          }};
}

const Dataset& SearchInputs::Train() {
  if (!train_.has_value()) train_ = Dataset::Load(*experiment.data.train);
  return *train_;
}

const Dataset& SearchInputs::Search() {
  if (!search_.has_value()) search_ = Dataset::Load(SensitivityData());
  return *search_;
}

int SearchInputs::TrainingJobs(const RunContext& context) const {
  return experiment.device == "cpu" ? context.threads : 1;
}

LayerGraph SearchInputs::TrainableGraph() const {
  LayerGraph graph = ReadModelOf(experiment);
  const auto same = [](const Layer& a, const Layer& b) { return a.id == b.id; };
  if (!std::equal(graph.layers().begin(), graph.layers().end(), network.graph.layers().begin(),
                  network.graph.layers().end(), same)) {
    throw Error(ErrorId::kInternal, "folding has changed the order of layers");
  }
  return graph;
}

DataSpec SearchInputs::SensitivityData() const {
  DataSpec spec = *experiment.data.search;
  const std::int64_t samples = experiment.sensitivity.samples;
  spec.samples = spec.samples < 0 ? samples : std::min(spec.samples, samples);
  return spec;
}

void SearchInputs::AddSensitivityNames(std::vector<std::string>& names) const {
  names.emplace_back(kSensitivityName);
  if (experiment.sensitivity.pairs.kind != PairRequest::Kind::kNone) names.emplace_back(kPairsName);
}

NamedProblem SearchInputs::WithSensitivity(const StageScope& scope) const {
  SensitivityReport report = ParseSensitivityCsv(scope.Read(kSensitivityName), kSensitivityName);
  if (experiment.sensitivity.pairs.kind != PairRequest::Kind::kNone) {
    report.pairs = ReadPairsCsv(scope.PathOf(kPairsName).string());
  }
  return WithLosses(network.named, report, kSensitivityName);
}

bool SearchInputs::wants_fp32() const {
  const std::vector<std::string>& lines = experiment.baselines.lines;
  return std::find(lines.begin(), lines.end(), "fp32") != lines.end();
}

BitConfig SearchInputs::Fp32() const {
  return BitConfig::Uniform(network.named.layers.size(),
                            {NumberFormat::Float32(), NumberFormat::Float32()});
}

ConfigDocument SearchInputs::DocumentOf(const BitConfig& config) {
  ConfigDocument document;
  document.model = experiment.model.file.filename().string();
  document.model_sha256 = hashes.Of(experiment.model.file);
  document.placement = experiment.quantization.placement;
  document.weights = experiment.quantization.weight;
  document.calibration = NamesOf(experiment.quantization.calibration);
  const std::vector<LayerQuantizers> quantizers = session.Get().Quantizers(config);
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    const Layer& layer = network.graph.layers()[l];
    document.layers.push_back({layer.id, layer.op, config.choices[l], quantizers[l]});
  }
  document.tensors = session.Get().TensorGrids(config);
  document.costs = CostTexts(network, config);
  document.seed = experiment.seed;
  return document;
}

}  // namespace bitsearch
