// The LibTorch module: hands the pipeline's requests to the rooms that run networks. Includes their
// torch-free headers only, so it compiles quickly.

#include <utility>

#include "experiments/torch_backend.h"
#include "sensitivity/measure.h"
#include "space/network/data_fit.h"
#include "space/network/run.h"
#include "space/quantizer/layer_simulation.h"
#include "space/quantizer/quantized_network.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

class Session : public QuantizationSession {
 public:
  Session(const CalibrationRequest& request, const RunContext& context)
      : network_(request.graph, request.calibration, request.spec, request.device, context,
                 request.stored, request.statistics) {}

  const LayerGraph& graph() const override { return network_.graph(); }

  Evaluation EvaluateFloat(const Dataset& data, const RunContext& context) override {
    RequireAccuracy(graph(), data);
    return PtqEvaluator(network_, data, context).FloatEvaluation();
  }

  std::unique_ptr<Evaluator> MakeEvaluator(const Dataset& data, const RunContext& context,
                                           bool compare_with_float) override {
    if (data.labelled()) {
      RequireAccuracy(graph(), data);
    } else {
      RequireFit(graph(), data);
    }
    return std::make_unique<PtqEvaluator>(network_, data, context, compare_with_float);
  }

  SensitivityReport MeasureSensitivity(const Dataset& data, const SensitivityRequest& request,
                                       const RunContext& context) override {
    RequireMeasurable(request.method, graph(), data);
    SensitivityPlan plan;
    plan.method = request.method;
    plan.choices = request.choices;
    plan.batch_size = request.batch_size;
    plan.probes = request.probes;
    plan.relative_error = request.relative_error;
    plan.time_limit_s = request.time_limit_s;
    plan.score = request.score == "hawq" ? CurvatureScore::kHawq : CurvatureScore::kHalf;
    plan.known = request.known;
    plan.record = request.record;
    plan.pairs = request.pairs;
    // A layer alone cannot be given bits where tensors are quantized for all their readers.
    const bool by_tensor = QuantizesTensors(network_.spec().placement);
    MeasuredSensitivity measured =
        by_tensor ? bitsearch::MeasureSensitivity(network_.WithPlacement(Placement::kLayerInputs),
                                                  data, plan, context)
                  : bitsearch::MeasureSensitivity(network_, data, plan, context);
    if (by_tensor) measured.report.notes.emplace_back("skip_path", "float");
    if (request.traces && !measured.traces.empty()) {
      std::vector<std::string> names;
      for (const Layer& layer : graph().layers()) names.push_back(layer.id);
      // The file has no column for the tensor: it holds the weights'.
      std::vector<TraceEstimate> weights;
      for (const TraceEstimate& trace : measured.traces) {
        if (trace.of == CurvatureOf::kWeight) weights.push_back(trace);
      }
      request.traces(TraceCsv(weights, names, measured.report.notes));
    }
    return std::move(measured.report);
  }

  std::vector<LayerQuantizers> Quantizers(const BitConfig& config) override {
    std::vector<LayerQuantizers> all(graph().layers().size());
    std::vector<LayerCalibration> found = CalibrationOf(network_, config);
    const std::vector<TensorGrid> tensors = network_.TensorGrids(config);
    for (std::size_t l = 0; l < all.size(); ++l) {
      all[l].correction = std::move(found[l].correction);
      const BitChoice& choice = config.choices[l];
      if (graph().layers()[l].weight && !choice.weight.is_float()) {
        TensorQuantizer& quantizer = all[l].weight.emplace();
        quantizer.granularity = NameOf(network_.spec().weight.granularity);
        quantizer.symmetric = network_.spec().weight.symmetric;
        for (const AffineGrid& grid : network_.Weight(LayerIndex(l), choice.weight).grids) {
          quantizer.scale.push_back(grid.scale);
          quantizer.zero_point.push_back(grid.zero_point);
        }
        quantizer.codes = std::move(found[l].weight_codes);
      }
      if (const auto grid = InputGrid(tensors, LayerIndex(l), choice.activation)) {
        all[l].activation = TensorQuantizer{"per_tensor",    grid->qmin < 0, grid->lowest(),
                                            grid->highest(), {grid->scale},  {grid->zero_point}};
      }
    }
    return all;
  }

  std::vector<TensorGrid> TensorGrids(const BitConfig& config) override {
    return network_.TensorGrids(config);
  }

  FloatTensor Outputs(const BitConfig& config, const Dataset& data,
                      const RunContext& context) override {
    RequireFit(graph(), data);
    auto [shape, values] = SimulatedOutputs(network_, config, data, context);
    return {std::move(shape), std::move(values)};
  }

  std::vector<FloatTensor> LayerOutputs(const BitConfig& config, const Dataset& data,
                                        const std::vector<FloatTensor>& inputs) override {
    std::vector<PlainTensor> given;
    for (const FloatTensor& input : inputs) given.emplace_back(input.shape, input.values);
    std::vector<FloatTensor> outputs;
    for (auto& [shape, values] : SimulatedLayers(network_, config, data, given)) {
      outputs.push_back({std::move(shape), std::move(values)});
    }
    return outputs;
  }

 private:
  std::optional<AffineGrid> InputGrid(const std::vector<TensorGrid>& tensors, LayerIndex layer,
                                      NumberFormat format) const {
    if (!QuantizesTensors(network_.spec().placement)) return network_.ActivationGrid(layer, format);
    const std::string& name = graph().tensor(graph().layer(layer).input).name;
    for (const TensorGrid& entry : tensors) {
      if (entry.tensor == name) return entry.grid;
    }
    return std::nullopt;
  }

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
    RequireAccuracy(graph, train);
    RequireAccuracy(graph, validation);
    return bitsearch::Train(std::move(graph), train, validation, options, context);
  }
  DnasResult SearchSupernet(const SupernetRequest& request, const Dataset& train,
                            const RunContext& context) override {
    RequireAccuracy(request.graph, train);
    return SearchDnas(request.graph, request.choices, request.ties, request.problem, train,
                      request.options, context);
  }
  FineTuneResult FineTune(const FineTuneRequest& request, const RunContext& context) override {
    RequireAccuracy(request.graph, *request.train);
    return bitsearch::FineTune(request.graph, request.config, *request.train, request.validation,
                               request.options, context, request.teacher);
  }
  Evaluation EvaluateTuned(const TunedNetwork& network, const Dataset& data,
                           const RunContext& context, const std::string& device) override {
    return bitsearch::EvaluateTuned(network, data, context, device);
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
