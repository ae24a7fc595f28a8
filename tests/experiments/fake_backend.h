#pragma once
// A backend without LibTorch for tests of whole runs: accuracies follow from bits, and every unit
// of work can be the last one.

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "experiments/torch_backend.h"
#include "space/graph/rewrites.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/random.h"

namespace bitsearch {

/// Ends the process as far as the run is concerned.
struct Killed {};

/// Counts down at every unit of work; throws at zero.
struct Fuse {
  int left = -1;
  void Burn() {
    if (left == 0) throw Killed{};
    if (left > 0) --left;
  }
};

/// Accuracy falls with Σ 4^−bits, sample by sample in a fixed random order; without labels the
/// output's error rises with it.
class FakeEvaluator : public Evaluator {
 public:
  FakeEvaluator(const Dataset& data, Fuse* fuse)
      : samples_(data.size()), labelled_(data.labelled()), fuse_(fuse) {}
  std::vector<Evaluation> Evaluate(std::span<const BitConfig> configs) override {
    std::vector<Evaluation> evaluations;
    for (const BitConfig& config : configs) {
      fuse_->Burn();
      double damage = 0.0;
      for (const BitChoice& choice : config.choices) damage += std::pow(4.0, -choice.weight.bits());
      Evaluation evaluation;
      evaluation.samples = samples_;
      RandomStream random(7, "fake");
      if (!labelled_) {
        for (std::int64_t i = 0; i < samples_; ++i) {
          evaluation.output_error_percent_per_sample.push_back(
              static_cast<float>(damage * (50.0 + random.Uniform())));
        }
        evaluation.loss_nats = evaluation.kl_nats = std::nan("");
        evaluations.push_back(evaluation);
        continue;
      }
      for (std::int64_t i = 0; i < samples_; ++i) {
        evaluation.correct_per_sample.push_back(random.Uniform() < 0.9 - damage);
        evaluation.correct += evaluation.correct_per_sample.back() ? 1 : 0;
      }
      evaluation.loss_nats = 0.3 + damage;
      evaluation.kl_nats = damage / 3.0;
      evaluations.push_back(evaluation);
    }
    return evaluations;
  }

 private:
  std::int64_t samples_;
  bool labelled_;
  Fuse* fuse_;
};

class FakeSession : public QuantizationSession {
 public:
  FakeSession(LayerGraph graph, Fuse* fuse) : graph_(std::move(graph)), fuse_(fuse) {}
  const LayerGraph& graph() const override { return graph_; }
  Evaluation EvaluateFloat(const Dataset& data, const RunContext&) override {
    const BitConfig fp32 = BitConfig::Uniform(graph_.layers().size(), {});
    return FakeEvaluator(data, fuse_).Evaluate({&fp32, 1}).front();
  }
  std::unique_ptr<Evaluator> MakeEvaluator(const Dataset& data, const RunContext&, bool) override {
    return std::make_unique<FakeEvaluator>(data, fuse_);
  }
  SensitivityReport MeasureSensitivity(const Dataset&, const SensitivityRequest& request,
                                       const RunContext&) override {
    SensitivityReport report;
    report.notes = {{"method", request.method}};
    for (std::size_t l = 0; l < graph_.layers().size(); ++l) {
      report.layers.push_back({graph_.layers()[l].id, {}});
      for (const BitChoice& choice : request.choices[l]) {
        const std::string key = std::to_string(l) + choice.ToString();
        auto text = request.known(key);
        if (!text.has_value()) {
          fuse_->Burn();
          text = std::to_string((1.0 + static_cast<double>(l % 3)) *
                                std::pow(4.0, -choice.weight.bits()));
          request.record(key, *text);
        }
        report.layers.back().choices.push_back({choice, std::stod(*text), 0.001});
      }
    }
    for (const LayerPair& pair : PairsToMeasure(report, request.pairs)) {
      for (const BitChoice& a : request.choices[pair.first.value]) {
        for (const BitChoice& b : request.choices[pair.second.value]) {
          const double joint = std::pow(2.0, -a.weight.bits() - b.weight.bits());
          report.pairs.push_back({report.layers[pair.first.value].layer, a,
                                  report.layers[pair.second.value].layer, b,
                                  pair.first.value % 2 == 0 ? joint : -joint});
        }
      }
    }
    return report;
  }
  std::vector<LayerQuantizers> Quantizers(const BitConfig& config) override {
    return std::vector<LayerQuantizers>(config.choices.size());
  }
  std::vector<TensorGrid> TensorGrids(const BitConfig&) override { return {}; }
  FloatTensor Outputs(const BitConfig&, const Dataset&, const RunContext&) override {
    throw Error(ErrorId::kInternal, "not here");
  }
  std::vector<FloatTensor> LayerOutputs(const BitConfig&, const Dataset&,
                                        const std::vector<FloatTensor>&) override {
    throw Error(ErrorId::kInternal, "not here");
  }

 private:
  LayerGraph graph_;
  Fuse* fuse_;
};

class FakeBackend : public TorchBackend {
 public:
  explicit FakeBackend(Fuse* fuse) : fuse_(fuse) {}
  std::unique_ptr<QuantizationSession> Calibrate(const CalibrationRequest& request,
                                                 const RunContext&) override {
    fuse_->Burn();
    return std::make_unique<FakeSession>(request.graph, fuse_);
  }
  TrainResult Train(LayerGraph, const Dataset&, const Dataset&, const TrainOptions&,
                    const RunContext&) override {
    throw Error(ErrorId::kInternal, "not here");
  }
  /// Learns, an epoch at a time, that later layers want fewer bits.
  DnasResult SearchSupernet(const SupernetRequest& request, const Dataset& train,
                            const RunContext& context) override {
    DnasResult result;
    result.space =
        BuildArchitectureSpace(request.graph, request.choices, request.ties, request.options.scope);
    for (int epoch = 1; epoch <= request.options.epochs; ++epoch) {
      Finish(epoch, request.options.checkpoint);
      DnasEpoch record;
      record.epoch = epoch;
      record.weight_loss = 1.0 / epoch;
      record.expected_resources.assign(request.problem.resources.size(), 1.0 * train.size());
      for (std::size_t g = 0; g < result.space.group_count(); ++g) {
        record.probabilities.push_back(Learned(result.space.groups[g], g, epoch));
      }
      record.distributions = FiguresOf(record.probabilities);
      result.history.push_back(record);
    }
    result.probabilities = result.history.back().probabilities;
    result.warnings = DistributionWarnings(result.space, FiguresOf(result.probabilities));
    for (const std::string& warning : result.warnings) context.progress->Warning(warning);
    result.graph = request.graph;
    return result;
  }
  FineTuneResult FineTune(const FineTuneRequest& request, const RunContext&) override {
    FineTuneResult result;
    for (int epoch = 1; epoch <= request.options.epochs; ++epoch) {
      Finish(epoch, request.options.checkpoint);
      result.history.push_back({epoch, 1.0 / epoch, 50.0, 60.0});
    }
    result.network.graph = FoldBatchNorm(request.graph);
    result.network.config = request.config;
    result.network.layers.resize(request.config.choices.size());
    return result;
  }
  Evaluation EvaluateTuned(const TunedNetwork& network, const Dataset& data, const RunContext&,
                           const std::string&) override {
    return FakeEvaluator(data, fuse_).Evaluate({&network.config, 1}).front();
  }
  std::vector<FloatTensor> Run(const LayerGraph&, const std::vector<FloatTensor>&,
                               const std::string&) override {
    throw Error(ErrorId::kInternal, "not here");
  }

 private:
  /// Works on an epoch, unless the checkpoint says that it is done.
  void Finish(int epoch, const std::filesystem::path& checkpoint) {
    const bool kept = std::filesystem::exists(checkpoint);
    if (kept && std::stoi(ReadTextFile(checkpoint)) >= epoch) return;
    fuse_->Burn();
    WriteFileAtomically(checkpoint, std::to_string(epoch));
  }
  static std::vector<double> Learned(const ChoiceGroup& group, std::size_t g, int epoch) {
    std::vector<double> probabilities;
    double sum = 0.0;
    for (const BitChoice& candidate : group.candidates) {
      const double wanted = 8.0 / static_cast<double>(1 + g);
      probabilities.push_back(std::exp(-0.1 * epoch * std::abs(candidate.weight.bits() - wanted)));
      sum += probabilities.back();
    }
    for (double& probability : probabilities) probability /= sum;
    return probabilities;
  }

  Fuse* fuse_;
};

}  // namespace bitsearch
