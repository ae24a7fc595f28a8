#include "sensitivity/gauss_newton.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "sensitivity/curvature_torch.h"
#include "sensitivity/output_gradients_torch.h"
#include "sensitivity/softmax_curvature.h"
#include "space/network/thread_budget_torch.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// Beyond this many classes the eigenvectors of G cost more than they save.
constexpr std::int64_t kMostFactoredClasses = 64;

// Layer gradients of this many (record, vector) pairs are held at once.
constexpr std::int64_t kPairsAtOnce = 128;

// What is sent back from the logits. The trace of a record is the sum of the squared norms of the
// `exact` vectors plus the mean over `random`.
struct Cotangents {
  std::vector<at::Tensor> exact;
  std::vector<at::Tensor> random;
};

class Pass {
 public:
  Pass(const Network& network, const OutputCurvatureOptions& options, const RunContext& context)
      : network_(network), options_(options), context_(context) {}

  // Observations of all layers on one batch.
  std::vector<TraceObservation> Run(const LabelledBatch& data, std::int64_t batch) const {
    const std::int64_t records = data.images.size(0);
    const std::size_t layers = network_.graph().layers().size();
    // [tensor][layer]: per record, the exact part and the single draws.
    std::array<std::vector<PerRecord>, 2> found;
    found.fill(std::vector<PerRecord>(layers));
    std::int64_t at_once = RecordsAtOnce();
    for (std::int64_t first = 0; first < records; first += at_once) {
      const std::int64_t end = std::min(records, first + at_once);
      RunChunk(data, batch, first, end, found);
    }
    std::vector<TraceObservation> result;
    for (std::size_t l = 0; l < layers; ++l) {
      for (const CurvatureOf of : {CurvatureOf::kWeight, CurvatureOf::kActivation}) {
        const PerRecord& values = found[static_cast<std::size_t>(of)][l];
        if (values.exact.empty()) continue;
        result.push_back(Observe({LayerIndex(l), of, batch, 0}, values));
      }
    }
    return result;
  }

 private:
  struct PerRecord {
    std::vector<double> exact;
    std::vector<std::vector<double>> draws;  ///< [draw][record]
  };

  std::int64_t RecordsAtOnce() const {
    switch (options_.method) {
      case OutputCurvature::kEmpiricalFisher:
        return 32;
      case OutputCurvature::kSampledLabels:
      case OutputCurvature::kGaussNewtonSampled:
        return 32;
      case OutputCurvature::kGaussNewton:
        break;
    }
    return 16;
  }

  void RunChunk(const LabelledBatch& data, std::int64_t batch, std::int64_t first,
                std::int64_t end, std::array<std::vector<PerRecord>, 2>& found) const {
    OutputGradientPass pass(network_, data.images.slice(0, first, end), options_.weights,
                            options_.activations);
    const Cotangents cotangents =
        Make(pass.logits(), data.labels.slice(0, first, end), batch, first);
    // Several vectors share an unfolding of the layers' inputs, as many as memory allows.
    const auto group = static_cast<std::size_t>(std::max<std::int64_t>(
        1, kPairsAtOnce / (end - first)));
    std::optional<OutputGradientPass::Norms> sum;
    for (std::size_t c = 0; c < cotangents.exact.size(); c += group) {
      const std::size_t stop = std::min(cotangents.exact.size(), c + group);
      auto norms = pass.Backward({cotangents.exact.begin() + static_cast<std::ptrdiff_t>(c),
                                  cotangents.exact.begin() + static_cast<std::ptrdiff_t>(stop)});
      if (sum) {
        AddTo(sum->weights, norms.weights);
        AddTo(sum->activations, norms.activations);
      } else {
        sum = std::move(norms);
      }
    }
    if (sum) AppendExact(*sum, found);
    for (std::size_t d = 0; d < cotangents.random.size(); ++d) {
      const auto norms = pass.Backward({cotangents.random[d]});
      if (!sum && d == 0) AppendZeros(norms, found);
      AppendDraw(norms, d, found);
    }
  }

  static void AddTo(std::vector<at::Tensor>& sum, const std::vector<at::Tensor>& more) {
    for (std::size_t l = 0; l < sum.size(); ++l) {
      if (sum[l].defined()) sum[l] = sum[l] + more[l];
    }
  }

  static void Append(const at::Tensor& values, std::vector<double>& target) {
    const at::Tensor local = values.to(at::kCPU).contiguous();
    target.insert(target.end(), local.data_ptr<double>(),
                  local.data_ptr<double>() + local.numel());
  }

  template <typename Fn>
  static void ForEachDefined(const OutputGradientPass::Norms& norms, const Fn& fn) {
    for (std::size_t l = 0; l < norms.weights.size(); ++l) {
      if (norms.weights[l].defined()) fn(CurvatureOf::kWeight, l, norms.weights[l]);
      if (norms.activations[l].defined()) fn(CurvatureOf::kActivation, l, norms.activations[l]);
    }
  }

  static void AppendExact(const OutputGradientPass::Norms& norms,
                          std::array<std::vector<PerRecord>, 2>& found) {
    ForEachDefined(norms, [&](CurvatureOf of, std::size_t l, const at::Tensor& values) {
      Append(values, found[static_cast<std::size_t>(of)][l].exact);
    });
  }

  static void AppendZeros(const OutputGradientPass::Norms& norms,
                          std::array<std::vector<PerRecord>, 2>& found) {
    ForEachDefined(norms, [&](CurvatureOf of, std::size_t l, const at::Tensor& values) {
      Append(at::zeros_like(values), found[static_cast<std::size_t>(of)][l].exact);
    });
  }

  static void AppendDraw(const OutputGradientPass::Norms& norms, std::size_t draw,
                         std::array<std::vector<PerRecord>, 2>& found) {
    ForEachDefined(norms, [&](CurvatureOf of, std::size_t l, const at::Tensor& values) {
      auto& draws = found[static_cast<std::size_t>(of)][l].draws;
      if (draws.size() <= draw) draws.resize(draw + 1);
      Append(values, draws[draw]);
    });
  }

  // Vectors at the logits of records [first, …) of a batch.
  Cotangents Make(const at::Tensor& logits, const at::Tensor& labels, std::int64_t batch,
                  std::int64_t first) const {
    const at::Tensor p = at::softmax(logits.to(at::kCPU, at::kDouble), 1).contiguous();
    Cotangents result;
    if (options_.method == OutputCurvature::kEmpiricalFisher) {
      result.exact = {at::softmax(logits, 1) - at::one_hot(labels, logits.size(1))};
      return result;
    }
    const bool exact = options_.method == OutputCurvature::kGaussNewton;
    const std::int64_t draws = exact ? 0 : options_.draws;
    const std::int64_t directions = p.size(1) - 1;
    const bool factored = options_.method != OutputCurvature::kSampledLabels &&
                          (exact || p.size(1) <= kMostFactoredClasses);
    const std::int64_t kept =
        exact ? directions : std::min(options_.exact_directions, directions);
    if (factored) {
      result.exact = Zeros(p, kept);
    }
    result.random = Zeros(p, draws);
    for (std::int64_t n = 0; n < p.size(0); ++n) {
      RandomStream random(context_.root_seed, "gauss_newton",
                          (static_cast<std::uint64_t>(batch) << 32U) |
                              static_cast<std::uint64_t>(first + n));
      const std::span<const double> row(p.data_ptr<double>() + n * p.size(1),
                                        static_cast<std::size_t>(p.size(1)));
      if (factored) {
        FillFromFactors(row, n, kept, random, result);
      } else {
        for (at::Tensor& draw : result.random) FillFromClasses(row, n, random, draw);
      }
    }
    for (auto* vectors : {&result.exact, &result.random}) {
      for (at::Tensor& vector : *vectors) vector = vector.to(logits.options());
    }
    return result;
  }

  static std::vector<at::Tensor> Zeros(const at::Tensor& like, std::int64_t count) {
    std::vector<at::Tensor> result;
    for (std::int64_t i = 0; i < count; ++i) result.push_back(at::zeros_like(like));
    return result;
  }

  static void FillFromFactors(std::span<const double> p, std::int64_t record, std::int64_t kept,
                              RandomStream& random, Cotangents& result) {
    const std::vector<double> factors = SoftmaxCurvatureFactors(p);
    const auto classes = static_cast<std::int64_t>(p.size());
    for (std::int64_t i = 0; i < kept; ++i) {
      std::copy_n(factors.begin() + i * classes, classes,
                  result.exact[static_cast<std::size_t>(i)].data_ptr<double>() + record * classes);
    }
    for (at::Tensor& draw : result.random) {
      double* target = draw.data_ptr<double>() + record * classes;
      for (std::int64_t i = kept; i < classes - 1; ++i) {
        const double sign = random.Sign();
        for (std::int64_t c = 0; c < classes; ++c) {
          target[c] += sign * factors[static_cast<std::size_t>(i * classes + c)];
        }
      }
    }
  }

  // A label drawn from p: z = e_label − p has E[z zᵀ] = G. With many classes and
  // kGaussNewtonSampled, random signs instead: z = Σ ε_c √p_c (e_c − p).
  void FillFromClasses(std::span<const double> p, std::int64_t record, RandomStream& random,
                       at::Tensor& draw) const {
    double* target = draw.data_ptr<double>() + record * static_cast<std::int64_t>(p.size());
    if (options_.method == OutputCurvature::kSampledLabels) {
      double left = random.Uniform();
      std::size_t label = 0;
      while (label + 1 < p.size() && left >= p[label]) left -= p[label++];
      for (std::size_t c = 0; c < p.size(); ++c) target[c] = (c == label ? 1.0 : 0.0) - p[c];
      return;
    }
    double mean = 0.0;
    for (std::size_t c = 0; c < p.size(); ++c) {
      target[c] = random.Sign() * std::sqrt(p[c]);
      mean += target[c];
    }
    for (std::size_t c = 0; c < p.size(); ++c) target[c] -= mean * p[c];
  }

  TraceObservation Observe(const ObservationKey& key, const PerRecord& values) const {
    const std::size_t records = values.exact.size();
    const auto count = static_cast<double>(records);
    const auto draws = static_cast<double>(values.draws.size());
    TraceObservation seen{key, static_cast<std::int64_t>(records), 0.0, 0.0,
                          std::numeric_limits<double>::infinity(), kUnknown, 0};
    std::vector<double> of_record(values.exact);
    double within = 0.0;
    double within_squared = 0.0;
    for (std::size_t n = 0; n < records && draws > 0.0; ++n) {
      double mean = 0.0;
      for (const auto& draw : values.draws) mean += draw[n] / draws;
      of_record[n] += mean;
      double squares = 0.0;
      for (const auto& draw : values.draws) squares += (draw[n] - mean) * (draw[n] - mean);
      const double variance = draws > 1.0 ? squares / (draws - 1.0) / draws : kUnknown;
      within += variance;
      within_squared += variance * variance;
    }
    for (const double value : of_record) seen.value += value / count;
    double spread = 0.0;
    for (const double value : of_record) spread += (value - seen.value) * (value - seen.value);
    if (records > 1) seen.sample_variance = spread / (count - 1.0);
    if (draws > 0.0) {
      seen.probes = static_cast<std::int64_t>(values.draws.size());
      seen.probe_variance = within / count / count;
      // Welch and Satterthwaite over the records; the fourth moment of signs makes it a little less.
      seen.degrees = within_squared > 0.0 ? within * within / within_squared * (draws - 1.0)
                                          : std::numeric_limits<double>::infinity();
    }
    return seen;
  }

  const Network& network_;
  const OutputCurvatureOptions& options_;
  const RunContext& context_;
};

}  // namespace

std::vector<TraceObservation> OutputCurvatureTraces(const Network& network, const Dataset& data,
                                                    const OutputCurvatureOptions& options,
                                                    const RunContext& context) {
  if (options.draws < 1 || options.exact_directions < 0) {
    throw Error(ErrorId::kUsage, "a sampled curvature needs at least one draw, got " +
                                     std::to_string(options.draws));
  }
  const BatchList batches(network, data, options.batch_size);
  const Pass pass(network, options, context);
  std::vector<ObservationKey> keys;
  for (std::size_t l = 0; l < network.graph().layers().size(); ++l) {
    const bool weight = network.graph().layers()[l].weight.has_value();
    if (options.weights && weight) keys.push_back({LayerIndex(l), CurvatureOf::kWeight, 0, 0});
    if (options.activations) keys.push_back({LayerIndex(l), CurvatureOf::kActivation, 0, 0});
  }
  std::vector<std::vector<TraceObservation>> by_batch(static_cast<std::size_t>(batches.count()));
  std::int64_t done = 0;
  std::int64_t target = options.relative_error > 0.0 ? 2 : batches.count();
  while (done < batches.count()) {
    target = std::min(target, batches.count());
    std::vector<std::int64_t> missing;
    for (std::int64_t b = done; b < target; ++b) {
      auto& found = by_batch[static_cast<std::size_t>(b)];
      for (ObservationKey key : keys) {
        key.batch = b;
        const auto seen = options.journal.known ? options.journal.known(key) : std::nullopt;
        if (seen) found.push_back(*seen);
      }
      if (found.size() != keys.size()) missing.push_back(b);
    }
    const auto chunk = static_cast<std::size_t>(std::max(1, 2 * context.threads));
    for (std::size_t at = 0; at < missing.size(); at += chunk) {
      const std::size_t stop = std::min(missing.size(), at + chunk);
      ForEachOnOneThread(context, static_cast<std::int64_t>(stop - at), [&](std::int64_t t) {
        const std::int64_t b = missing[at + static_cast<std::size_t>(t)];
        by_batch[static_cast<std::size_t>(b)] = pass.Run(batches.Load(b), b);
      }, /*with_gradients=*/true);
      for (std::size_t t = at; t < stop && options.journal.record; ++t) {
        for (const auto& seen : by_batch[static_cast<std::size_t>(missing[t])]) {
          options.journal.record(seen);
        }
      }
      context.progress->Progress("traces", done + static_cast<std::int64_t>(stop),
                                 batches.count());
    }
    done = target;
    target = 2 * done;
    if (options.relative_error <= 0.0 || done < 2) continue;
    bool converged = true;
    for (std::size_t k = 0; k < keys.size() && converged; ++k) {
      std::vector<TraceObservation> of_key;
      for (std::int64_t b = 0; b < done; ++b) {
        of_key.push_back(by_batch[static_cast<std::size_t>(b)][k]);
      }
      const TraceEstimate estimate = Summarise(of_key, 0);
      converged =
          estimate.total_standard_error <= options.relative_error * std::abs(estimate.trace);
    }
    if (converged) break;
  }
  std::vector<TraceObservation> result;
  for (std::size_t k = 0; k < keys.size(); ++k) {
    for (std::int64_t b = 0; b < done; ++b) {
      result.push_back(by_batch[static_cast<std::size_t>(b)][k]);
    }
  }
  return result;
}

}  // namespace bitsearch
