#include "sensitivity/sketched_traces.h"

#include <algorithm>
#include <limits>

#include "sensitivity/curvature_torch.h"
#include "sensitivity/rounds.h"
#include "space/network/thread_budget_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using Eigen::MatrixXd;

at::Tensor ColumnAsTensor(const MatrixXd& columns, Eigen::Index column, const at::Tensor& like) {
  at::Tensor result = at::empty({columns.rows()}, at::kDouble);
  std::copy_n(columns.col(column).data(), columns.rows(), result.data_ptr<double>());
  return result.to(like.options()).view(like.sizes());
}

// H times the columns, in double on the outside. H is divided by `divisor`.
MatrixProduct ProductsWith(const HessianBlock& block, double divisor) {
  return [&block, divisor](const MatrixXd& columns) {
    MatrixXd result(columns.rows(), columns.cols());
    for (Eigen::Index c = 0; c < columns.cols(); ++c) {
      const at::Tensor product = block.Multiply(ColumnAsTensor(columns, c, block.variable()))
                                     .to(at::kCPU, at::kDouble)
                                     .contiguous();
      std::copy_n(product.data_ptr<double>(), columns.rows(), result.col(c).data());
    }
    return MatrixXd(result / divisor);
  };
}

class Sketching {
 public:
  Sketching(const Network& network, const Dataset& data, const SketchOptions& options,
            const RunContext& context)
      : network_(network), batches_(network, data, options.batch_size), options_(options),
        context_(context) {}

  std::int64_t batch_count() const { return batches_.count(); }

  std::vector<TraceObservation> Run(LayerIndex layer, std::int64_t batch, std::int64_t first,
                                    std::int64_t end) const {
    const LabelledBatch data = batches_.Load(batch);
    ExecutionState prefix = network_.Start({data.images});
    {
      const at::NoGradGuard no_grad;
      network_.Advance(prefix, network_.graph().layer(layer).node.value);
    }
    const HessianBlock block(network_, prefix, data.labels, layer, options_.of);
    const std::int64_t samples = batches_.SamplesOf(batch);
    const bool weight = options_.of == CurvatureOf::kWeight;
    const MatrixProduct multiply =
        ProductsWith(block, weight ? 1.0 : static_cast<double>(samples));
    std::vector<TraceObservation> result;
    for (std::int64_t round = first; round < end; ++round) {
      const SketchedTrace found = Estimate(multiply, block.variable(), layer, batch, round);
      result.push_back({{layer, options_.of, batch, round}, samples, found.trace, found.variance,
                        found.degrees, std::numeric_limits<double>::quiet_NaN(), found.products});
    }
    return result;
  }

 private:
  // Random columns: signs or normal entries.
  MatrixXd Columns(const at::Tensor& like, Eigen::Index count, bool normal,
                   const std::string& component, std::int64_t batch, std::int64_t round) const {
    MatrixXd columns(like.numel(), count);
    for (Eigen::Index c = 0; c < count; ++c) {
      const std::string stream = component + "." + std::to_string(c);
      const std::uint64_t index = ProbeIndex(batch, round);
      const at::Tensor column =
          (normal ? NormalLike(like, context_.root_seed, stream, index)
                  : RademacherLike(like, context_.root_seed, stream, index))
              .to(at::kCPU, at::kDouble)
              .contiguous();
      std::copy_n(column.data_ptr<double>(), column.numel(), columns.col(c).data());
    }
    return columns;
  }

  SketchedTrace Estimate(const MatrixProduct& multiply, const at::Tensor& like, LayerIndex layer,
                         std::int64_t batch, std::int64_t round) const {
    const std::int64_t elements = like.numel();
    if (elements <= options_.products) {
      const MatrixXd whole = multiply(MatrixXd::Identity(elements, elements));
      return {whole.trace(), 0.0, std::numeric_limits<double>::infinity(), elements};
    }
    const std::string component =
        std::string(options_.method == Sketch::kXTrace ? "xtrace." : "hutchpp.") +
        (options_.of == CurvatureOf::kWeight ? "weight." : "activation.") +
        network_.graph().layer(layer).id;
    if (options_.method == Sketch::kXTrace) {
      return XTrace(multiply,
                    Columns(like, options_.products / 2, true, component, batch, round));
    }
    const Eigen::Index third = options_.products / 3;
    const Eigen::Index rest = options_.products - 2 * third;
    return HutchPlusPlus(multiply,
                         Columns(like, third, false, component + ".sketch", batch, round),
                         Columns(like, rest, false, component + ".rest", batch, round));
  }

  const Network& network_;
  BatchList batches_;
  const SketchOptions& options_;
  const RunContext& context_;
};

}  // namespace

std::vector<TraceObservation> SketchedTraces(const Network& network, const Dataset& data,
                                             const SketchOptions& options,
                                             const RunContext& context) {
  const std::int64_t least = options.method == Sketch::kXTrace ? 4 : 3;
  if (options.products < least) {
    throw Error(ErrorId::kUsage, "a sketch with " + std::to_string(options.products) +
                                     " products (allowed: " + std::to_string(least) +
                                     " and more)");
  }
  const Sketching estimator(network, data, options, context);
  RoundPlan plan;
  plan.layers = LayersWith(network.graph(), options.of);
  plan.of = options.of;
  plan.batch_count = estimator.batch_count();
  plan.stopping = options.stopping;
  plan.observe = [&](const std::vector<LayerIndex>& layers, std::int64_t batch, std::int64_t first,
                     std::int64_t end) {
    std::vector<std::vector<TraceObservation>> one;
    one.push_back(estimator.Run(layers[0], batch, first, end));
    return one;
  };
  return RunRounds(plan, options.journal, context,
                   [&](std::int64_t count, const std::function<void(std::int64_t)>& task) {
                     ForEachOnOneThread(context, count, task, /*with_gradients=*/true);
                   });
}

}  // namespace bitsearch
