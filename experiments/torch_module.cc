// The LibTorch module: hands the pipeline's requests to the rooms that run networks. Includes their
// torch-free headers only, so it compiles quickly.

#include <nlohmann/json.hpp>
#include <utility>

#include "experiments/torch_backend.h"
#include "sensitivity/perturbation.h"
#include "space/network/run.h"
#include "space/quantizer/quantized_network.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

const char* NameOf(Granularity granularity) {
  switch (granularity) {
    case Granularity::kPerTensor:
      return "per_tensor";
    case Granularity::kPerChannel:
      return "per_channel";
    case Granularity::kPerGroup:
      return "per_group";
  }
  return "?";
}

nlohmann::json ToJson(const PerturbationRow& row) {
  const auto estimate = [](const Estimate& e) { return nlohmann::json{e.value, e.standard_error}; };
  return {{"kl", estimate(row.kl_nats)},
          {"loss", estimate(row.loss_increase_nats)},
          {"mse", estimate(row.output_mse)}};
}

PerturbationRow RowFromJson(const std::string& text, LayerIndex layer, const BitChoice& choice) {
  const nlohmann::json json = nlohmann::json::parse(text);
  const auto estimate = [&](const char* key) {
    return Estimate{json.at(key).at(0).get<double>(), json.at(key).at(1).get<double>()};
  };
  PerturbationRow row;
  row.layer = layer;
  row.choice = choice;
  row.kl_nats = estimate("kl");
  row.loss_increase_nats = estimate("loss");
  row.output_mse = estimate("mse");
  return row;
}

class Session : public QuantizationSession {
 public:
  Session(const CalibrationRequest& request, const RunContext& context)
      : network_(request.graph, request.calibration, request.spec, request.device, context,
                 request.stored_grids) {}

  const LayerGraph& graph() const override { return network_.graph(); }

  Evaluation EvaluateFloat(const Dataset& data, const RunContext& context) override {
    return PtqEvaluator(network_, data, context).FloatEvaluation();
  }

  std::unique_ptr<Evaluator> MakeEvaluator(const Dataset& data,
                                           const RunContext& context) override {
    return std::make_unique<PtqEvaluator>(network_, data, context);
  }

  SensitivityReport MeasureSensitivity(const Dataset& data, const SensitivityRequest& request,
                                       const RunContext& context) override {
    PerturbationOptions options;
    const auto key = [this](LayerIndex layer, const BitChoice& choice) {
      return graph().layer(layer).id + "|" + choice.ToString();
    };
    if (request.known) {
      options.known = [&](LayerIndex layer,
                          const BitChoice& choice) -> std::optional<PerturbationRow> {
        const auto text = request.known(key(layer, choice));
        if (!text) return std::nullopt;
        return RowFromJson(*text, layer, choice);
      };
    }
    if (request.record) {
      options.record = [&](const PerturbationRow& row) {
        request.record(key(row.layer, row.choice), ToJson(row).dump());
      };
    }
    const std::vector<PerturbationRow> rows =
        MeasurePerturbations(network_, data, request.choices, options, context);
    SensitivityReport report;
    report.notes = {{"method", request.method},
                    {"samples", std::to_string(data.size())},
                    {"unit", "nats"},
                    {"layers", "one quantized at a time, the others float"},
                    {"folding", "batch normalisation folded before quantization"},
                    {"bias_correction", network_.spec().bias_correction ? "yes" : "no"}};
    for (const Layer& layer : graph().layers()) report.layers.push_back({layer.id, {}});
    for (const PerturbationRow& row : rows) {
      const Estimate& value = request.method == "loss" ? row.loss_increase_nats : row.kl_nats;
      report.layers[row.layer.value].choices.push_back(
          {row.choice, value.value, value.standard_error});
    }
    return report;
  }

  std::vector<LayerQuantizers> Quantizers(const BitConfig& config) override {
    std::vector<LayerQuantizers> all(graph().layers().size());
    for (std::size_t l = 0; l < all.size(); ++l) {
      const BitChoice& choice = config.choices[l];
      if (graph().layers()[l].weight && !choice.weight.is_float()) {
        TensorQuantizer& quantizer = all[l].weight.emplace();
        quantizer.granularity = NameOf(network_.spec().weight.granularity);
        quantizer.symmetric = network_.spec().weight.symmetric;
        for (const AffineGrid& grid : network_.Weight(LayerIndex(l), choice.weight).grids) {
          quantizer.scale.push_back(grid.scale);
          quantizer.zero_point.push_back(grid.zero_point);
        }
      }
      if (const auto grid = network_.ActivationGrid(LayerIndex(l), choice.activation)) {
        all[l].activation = TensorQuantizer{"per_tensor",   network_.spec().activation.symmetric,
                                            grid->lowest(), grid->highest(),
                                            {grid->scale},  {grid->zero_point}};
      }
    }
    return all;
  }

 private:
  CalibratedNetwork network_;
};

class Backend : public TorchBackend {
 public:
  std::unique_ptr<QuantizationSession> Calibrate(const CalibrationRequest& request,
                                                 const RunContext& context) override {
    return std::make_unique<Session>(request, context);
  }
  TrainResult Train(LayerGraph graph, const Dataset& train, const Dataset& validation,
                    const TrainOptions& options, const RunContext& context) override {
    return bitsearch::Train(std::move(graph), train, validation, options, context);
  }
  std::vector<FloatTensor> Run(const LayerGraph& graph, const std::vector<FloatTensor>& inputs,
                               const std::string& device) override {
    std::vector<std::pair<Shape, std::vector<float>>> given;
    for (const FloatTensor& input : inputs) given.emplace_back(input.shape, input.values);
    std::vector<FloatTensor> outputs;
    for (auto& [shape, values] : RunGraph(graph, given, device)) {
      outputs.push_back({std::move(shape), std::move(values)});
    }
    return outputs;
  }
};

}  // namespace
}  // namespace bitsearch

extern "C" __attribute__((visibility("default"))) bitsearch::TorchBackend*
bitsearch_make_torch_backend(int version) {
  return version == bitsearch::kTorchBackendVersion ? new bitsearch::Backend : nullptr;
}
