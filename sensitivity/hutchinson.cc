#include "sensitivity/hutchinson.h"

#include <algorithm>
#include <limits>

#include "sensitivity/curvature_torch.h"
#include "sensitivity/rounds.h"
#include "space/network/thread_budget_torch.h"

namespace bitsearch {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

class Hutchinson {
 public:
  Hutchinson(const Network& network, const Dataset& data, const HutchinsonOptions& options,
             const RunContext& context)
      : network_(network), batches_(network, data, options.batch_size), options_(options),
        context_(context) {}

  std::int64_t batch_count() const { return batches_.count(); }

  // Values of one batch, [layer][round − first].
  std::vector<std::vector<TraceObservation>> Joint(const std::vector<LayerIndex>& layers,
                                                   std::int64_t batch, std::int64_t first,
                                                   std::int64_t end) const {
    const LabelledBatch data = batches_.Load(batch);
    VariableHooks hooks(network_, layers, options_.of);
    const at::Tensor logits = network_.Forward(data.images, &hooks);
    const auto reduction =
        options_.of == CurvatureOf::kWeight ? at::Reduction::Mean : at::Reduction::Sum;
    const at::Tensor loss = at::cross_entropy_loss(logits, data.labels, {}, reduction);
    const auto gradients = torch::autograd::grad({loss}, hooks.variables(), {},
                                                 /*retain_graph=*/true, /*create_graph=*/true);
    std::vector<std::vector<TraceObservation>> result(layers.size());
    for (std::int64_t round = first; round < end; ++round) {
      std::vector<at::Tensor> vectors;
      for (std::size_t i = 0; i < layers.size(); ++i) {
        vectors.push_back(Probe(gradients[i], layers[i], batch, round));
      }
      const auto products =
          torch::autograd::grad(gradients, hooks.variables(), vectors, /*retain_graph=*/true,
                                /*create_graph=*/false, /*allow_unused=*/true);
      for (std::size_t i = 0; i < layers.size(); ++i) {
        result[i].push_back(Observe({layers[i], options_.of, batch, round}, vectors[i],
                                    products[i]));
      }
    }
    return result;
  }

  std::vector<TraceObservation> Block(LayerIndex layer, std::int64_t batch, std::int64_t first,
                                      std::int64_t end) const {
    const LabelledBatch data = batches_.Load(batch);
    ExecutionState prefix = network_.Start({data.images});
    {
      const at::NoGradGuard no_grad;
      network_.Advance(prefix, network_.graph().layer(layer).node.value);
    }
    const HessianBlock block(network_, prefix, data.labels, layer, options_.of);
    std::vector<TraceObservation> result;
    for (std::int64_t round = first; round < end; ++round) {
      const at::Tensor v = Probe(block.gradient(), layer, batch, round);
      result.push_back(Observe({layer, options_.of, batch, round}, v, block.Multiply(v)));
    }
    return result;
  }

 private:
  at::Tensor Probe(const at::Tensor& like, LayerIndex layer, std::int64_t batch,
                   std::int64_t round) const {
    const std::string component =
        (options_.of == CurvatureOf::kWeight ? "hutchinson.weight." : "hutchinson.activation.") +
        network_.graph().layer(layer).id;
    return RademacherLike(like, context_.root_seed, component, ProbeIndex(batch, round));
  }

  TraceObservation Observe(const ObservationKey& key, const at::Tensor& v,
                           const at::Tensor& product) const {
    TraceObservation seen{key, batches_.SamplesOf(key.batch), 0.0, kUnknown, 0.0, kUnknown, 1};
    if (!product.defined()) return seen;
    const at::Tensor terms = (v * product).to(at::kDouble);
    seen.value = terms.sum().item<double>();
    // The Hessian of a sum over records is block-diagonal, so v·Hv falls apart record by record.
    if (options_.of == CurvatureOf::kActivation) {
      seen.value /= static_cast<double>(seen.samples);
      if (seen.samples > 1) {
        seen.sample_variance = terms.flatten(1).sum(1).var(/*unbiased=*/true).item<double>();
      }
    }
    return seen;
  }

  const Network& network_;
  BatchList batches_;
  const HutchinsonOptions& options_;
  const RunContext& context_;
};

}  // namespace

std::vector<TraceObservation> HutchinsonTraces(const Network& network, const Dataset& data,
                                               const HutchinsonOptions& options,
                                               const RunContext& context) {
  const Hutchinson estimator(network, data, options, context);
  RoundPlan plan;
  plan.layers = LayersWith(network.graph(), options.of);
  plan.of = options.of;
  plan.batch_count = estimator.batch_count();
  plan.together = options.joint;
  plan.stopping = options.stopping;
  plan.observe = [&](const std::vector<LayerIndex>& layers, std::int64_t batch, std::int64_t first,
                     std::int64_t end) {
    if (options.joint) return estimator.Joint(layers, batch, first, end);
    std::vector<std::vector<TraceObservation>> one;
    one.push_back(estimator.Block(layers[0], batch, first, end));
    return one;
  };
  return RunRounds(plan, options.journal, context,
                   [&](std::int64_t count, const std::function<void(std::int64_t)>& task) {
                     ForEachOnOneThread(context, count, task, /*with_gradients=*/true);
                   });
}

}  // namespace bitsearch
