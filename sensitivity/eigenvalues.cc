#include "sensitivity/eigenvalues.h"

#include <cmath>
#include <limits>

#include "sensitivity/curvature_torch.h"
#include "sensitivity/estimate.h"
#include "space/network/thread_budget_torch.h"

namespace bitsearch {
namespace {

class PowerIteration {
 public:
  PowerIteration(const Network& network, const Dataset& data, const EigenvalueOptions& options,
                 const RunContext& context)
      : network_(network), batches_(network, data, options.batch_size), options_(options),
        context_(context), samples_(data.size()) {}

  TraceEstimate Run(LayerIndex layer) const {
    TraceEstimate result;
    result.layer = layer;
    result.of = options_.of;
    result.elements = ElementsOf(network_.graph(), layer, options_.of);
    result.batches = batches_.count();
    result.samples = samples_;
    result.degrees = std::numeric_limits<double>::infinity();
    std::vector<at::Tensor> v = Start(layer);
    while (result.probes < options_.most_iterations) {
      Product product = Multiply(layer, v);
      ++result.probes;
      result.trace = product.quotient;
      double residual = 0.0;
      double length = 0.0;
      for (std::size_t i = 0; i < v.size(); ++i) {
        residual += (product.hv[i] - product.quotient * v[i]).square().sum().item<double>();
        length += product.hv[i].square().sum().item<double>();
      }
      result.probe_standard_error = std::sqrt(residual);
      const double spread = MeanOf(product.by_batch).standard_error;
      result.total_standard_error = std::sqrt(residual + spread * spread);
      if (length == 0.0 ||
          result.probe_standard_error <= options_.relative_error * std::abs(result.trace)) {
        break;
      }
      for (at::Tensor& part : product.hv) part /= std::sqrt(length);
      v = std::move(product.hv);
    }
    return result;
  }

 private:
  // Double precision, parts: one for weights, one per batch for inputs.
  struct Product {
    std::vector<at::Tensor> hv;
    double quotient = 0.0;
    std::vector<double> by_batch;  ///< vᵀH_b v, where the mean over batches is the quotient.
  };

  bool weight() const { return options_.of == CurvatureOf::kWeight; }

  HessianBlock MakeBlock(LayerIndex layer, std::int64_t batch) const {
    const LabelledBatch data = batches_.Load(batch);
    ExecutionState prefix = network_.Start({data.images});
    const at::NoGradGuard no_grad;
    network_.Advance(prefix, network_.graph().layer(layer).node.value);
    const at::AutoGradMode with_gradients(true);
    return HessianBlock(network_, prefix, data.labels, layer, options_.of);
  }

  std::vector<at::Tensor> Start(LayerIndex layer) const {
    std::vector<at::Tensor> v;
    const std::int64_t parts = weight() ? 1 : batches_.count();
    double length = 0.0;
    for (std::int64_t part = 0; part < parts; ++part) {
      at::Tensor like;
      ForEachOnOneThread(context_, 1, [&](std::int64_t) {
        like = weight() ? network_.constant(*network_.graph().layer(layer).weight)
                        : MakeBlock(layer, part).variable().detach();
      });
      v.push_back(NormalLike(like, context_.root_seed,
                             "eigenvalue." + network_.graph().layer(layer).id,
                             static_cast<std::uint64_t>(part))
                      .to(at::kDouble));
      length += v.back().square().sum().item<double>();
    }
    for (at::Tensor& part : v) part /= std::sqrt(length);
    return v;
  }

  Product Multiply(LayerIndex layer, const std::vector<at::Tensor>& v) const {
    const auto count = static_cast<std::size_t>(batches_.count());
    std::vector<at::Tensor> parts(count);
    ForEachOnOneThread(context_, batches_.count(), [&](std::int64_t b) {
      const HessianBlock block = MakeBlock(layer, b);
      const at::Tensor& own = v[weight() ? 0 : static_cast<std::size_t>(b)];
      parts[static_cast<std::size_t>(b)] = block.Multiply(own.to(at::kFloat)).to(at::kDouble);
    }, /*with_gradients=*/true);
    Product product;
    product.by_batch.resize(count);
    for (std::size_t b = 0; b < count; ++b) {
      const at::Tensor& own = v[weight() ? 0 : b];
      const double part = (own * parts[b]).sum().item<double>();
      const double share = static_cast<double>(batches_.SamplesOf(static_cast<std::int64_t>(b))) /
                           static_cast<double>(samples_);
      product.by_batch[b] = weight() ? part : part * static_cast<double>(count);
      product.quotient += weight() ? share * part : part;
      if (!weight()) {
        product.hv.push_back(parts[b]);
      } else if (b == 0) {
        product.hv.push_back(share * parts[b]);
      } else {
        product.hv[0] += share * parts[b];
      }
    }
    return product;
  }

  const Network& network_;
  BatchList batches_;
  const EigenvalueOptions& options_;
  const RunContext& context_;
  std::int64_t samples_;
};

}  // namespace

std::vector<TraceEstimate> LargestEigenvalues(const Network& network, const Dataset& data,
                                              const EigenvalueOptions& options,
                                              const RunContext& context) {
  const PowerIteration iteration(network, data, options, context);
  std::vector<TraceEstimate> result;
  const std::vector<LayerIndex> layers = LayersWith(network.graph(), options.of);
  for (const LayerIndex layer : layers) {
    context.progress->Progress("eigenvalues", static_cast<std::int64_t>(result.size()),
                               static_cast<std::int64_t>(layers.size()));
    if (options.known) {
      if (const auto seen = options.known(layer)) {
        result.push_back(*seen);
        continue;
      }
    }
    result.push_back(iteration.Run(layer));
    if (options.record) options.record(result.back());
  }
  return result;
}

}  // namespace bitsearch
