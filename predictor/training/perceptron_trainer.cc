// Back-propagation through APQ's network, by hand.
#include "predictor/training/perceptron_trainer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>
#include <vector>

#include "space/support/error.h"

namespace bitsearch {
namespace {

using Eigen::Index;

constexpr float kBeta1 = 0.9F, kBeta2 = 0.999F, kEpsilon = 1e-8F;
constexpr float kLeastDifference = 0.05F, kSteepness = 3.0F;

/// One step of Adam.
struct Rate {
  float rate = 0.0F, decay = 0.0F, mean_scale = 0.0F, square_scale = 0.0F;
};

/// One layer with Adam's moments. Weights are inputs × outputs.
class AdamLayer {
 public:
  /// `gain`² / inputs is the variance of the weights.
  AdamLayer(Index outputs, Index inputs, double gain, RandomStream& random) {
    Reset(outputs, inputs);
    const double deviation = gain / std::sqrt(std::max<double>(1.0, static_cast<double>(inputs)));
    for (float& w : weights_.reshaped()) w = static_cast<float>(deviation * random.Normal());
  }
  explicit AdamLayer(const DenseLayer& layer) {
    Reset(layer.weights.rows(), layer.weights.cols());
    weights_ = layer.weights.transpose();
    bias_ = layer.bias.transpose();
  }
  /// All zeros.
  AdamLayer(Index outputs, Index inputs) { Reset(outputs, inputs); }

  DenseLayer ToLayer() const { return {weights_.transpose(), bias_.transpose()}; }

  /// rows × inputs → rows × outputs.
  RowMatrixXf Forward(const RowMatrixXf& in, MatrixProduct& product) const {
    return product(in, weights_, bias_);
  }
  RowMatrixXf InputGradient(const RowMatrixXf& out_gradient, MatrixProduct& product) const {
    return product(out_gradient, weights_.transpose());
  }
  void Update(const RowMatrixXf& in, const RowMatrixXf& out_gradient, const Rate& rate,
              MatrixProduct& product) {
    const RowMatrixXf gradient = product(in.transpose(), out_gradient);
    Adam(weights_, gradient, mean_, square_, rate, rate.decay);
    const Eigen::RowVectorXf bias_gradient = out_gradient.colwise().sum();
    Adam(bias_, bias_gradient, bias_mean_, bias_square_, rate, 0.0F);
  }

 private:
  void Reset(Index outputs, Index inputs) {
    weights_ = mean_ = square_ = RowMatrixXf::Zero(inputs, outputs);
    bias_ = bias_mean_ = bias_square_ = Eigen::RowVectorXf::Zero(outputs);
  }
  template <typename Values>
  static void Adam(Values& values, const Values& gradient, Values& mean, Values& square,
                   const Rate& rate, float decay) {
    mean = kBeta1 * mean + (1.0F - kBeta1) * gradient;
    square.array() = kBeta2 * square.array() + (1.0F - kBeta2) * gradient.array().square();
    values.array() = (1.0F - rate.rate * decay) * values.array() -
                     rate.rate * rate.mean_scale * mean.array() /
                         ((square.array() * rate.square_scale).sqrt() + kEpsilon);
  }

  RowMatrixXf weights_, mean_, square_;
  Eigen::RowVectorXf bias_, bias_mean_, bias_square_;
};

RowMatrixXf Rows(const RowMatrixXf& of, std::span<const Index> rows) {
  RowMatrixXf picked(static_cast<Index>(rows.size()), of.cols());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    picked.row(static_cast<Index>(r)) = of.row(rows[r]);
  }
  return picked;
}

/// The gradient of the loss by the outputs of a batch.
Eigen::VectorXf LossGradient(const Eigen::VectorXf& outputs, const Eigen::VectorXf& targets,
                             double ranking_share) {
  const Index rows = outputs.size();
  const auto share = static_cast<float>(ranking_share);
  Eigen::VectorXf gradient = (1.0F - share) * 2.0F / static_cast<float>(rows) * (outputs - targets);
  if (ranking_share <= 0.0) return gradient;
  Eigen::VectorXf ranking = Eigen::VectorXf::Zero(rows);
  std::int64_t pairs = 0;
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < rows; ++j) {
      if (!(targets[i] - targets[j] > kLeastDifference)) continue;
      const float pull = kSteepness / (1.0F + std::exp(kSteepness * (outputs[i] - outputs[j])));
      ranking[i] -= pull;
      ranking[j] += pull;
      ++pairs;
    }
  }
  if (pairs > 0) gradient += share / static_cast<float>(pairs) * ranking;
  return gradient;
}

/// The rectified part of a gradient.
RowMatrixXf Through(const RowMatrixXf& gradient, const RowMatrixXf& out) {
  return (out.array() > 0.0F).select(gradient, 0.0F);
}

class Trainer {
 public:
  Trainer(const FeatureRows& rows, const PerceptronTraining& training, const Perceptron* start,
          RandomStream& random)
      : rows_(rows),
        training_(training),
        architecture_(Make(start ? &start->architecture : nullptr, training.width,
                           rows.architecture.cols(), random)),
        bits_(start == nullptr ? AdamLayer(training.width, rows.bits.cols(), kGain, random)
              : start->bits.weights.rows() > 0
                  ? AdamLayer(start->bits)
                  : AdamLayer(start->architecture.weights.rows(), rows.bits.cols())),
        first_(Make(start ? &start->hidden[0] : nullptr, training.width, training.width, random)),
        second_(Make(start ? &start->hidden[1] : nullptr, training.width, training.width, random)),
        output_(start ? AdamLayer(start->output) : AdamLayer(1, training.width, 0.5, random)) {}

  void Step(std::span<const Index> batch, const Eigen::VectorXf& targets, const Rate& rate) {
    const RowMatrixXf architecture = Rows(rows_.architecture, batch);
    const RowMatrixXf bits = Rows(rows_.bits, batch);
    const RowMatrixXf a = architecture_.Forward(architecture, product_);
    RowMatrixXf in = a.cwiseMax(0.0F);
    if (bits.cols() > 0) in += bits_.Forward(bits, product_);
    const RowMatrixXf h1 = first_.Forward(in, product_).cwiseMax(0.0F);
    const RowMatrixXf h2 = second_.Forward(h1, product_).cwiseMax(0.0F);
    const Eigen::VectorXf outputs = output_.Forward(h2, product_).col(0);
    const RowMatrixXf d3 = LossGradient(outputs, targets, training_.ranking_share);
    const RowMatrixXf d2 = Through(output_.InputGradient(d3, product_), h2);
    const RowMatrixXf d1 = Through(second_.InputGradient(d2, product_), h1);
    const RowMatrixXf d0 = first_.InputGradient(d1, product_);
    output_.Update(h2, d3, rate, product_);
    second_.Update(h1, d2, rate, product_);
    first_.Update(in, d1, rate, product_);
    if (bits.cols() > 0) bits_.Update(bits, d0, rate, product_);
    if (architecture.cols() > 0) architecture_.Update(architecture, Through(d0, a), rate, product_);
  }

  Perceptron network() const {
    Perceptron network;
    network.architecture = architecture_.ToLayer();
    if (rows_.bits.cols() > 0) network.bits = bits_.ToLayer();
    network.hidden = {first_.ToLayer(), second_.ToLayer()};
    network.output = output_.ToLayer();
    return network;
  }

 private:
  static constexpr double kGain = std::numbers::sqrt2;
  static AdamLayer Make(const DenseLayer* start, Index outputs, Index inputs,
                        RandomStream& random) {
    return start != nullptr ? AdamLayer(*start) : AdamLayer(outputs, inputs, kGain, random);
  }

  const FeatureRows& rows_;
  const PerceptronTraining& training_;
  AdamLayer architecture_, bits_, first_, second_, output_;
  MatrixProduct product_;
};

}  // namespace

FeatureRows FeaturesOf(const Encoding& encoding, const GenomeView& genomes, bool with_bits) {
  const auto part = [&](FeatureGroup group) -> RowMatrixXf {
    const std::vector<float> values = encoding.Dense(genomes, group);
    return Eigen::Map<const RowMatrixXf>(values.data(), static_cast<Index>(genomes.rows),
                                         static_cast<Index>(encoding.features(group).size()));
  };
  FeatureRows rows{part(FeatureGroup::kArchitecture), {}};
  rows.bits = with_bits ? part(FeatureGroup::kBits)
                        : RowMatrixXf(static_cast<Index>(genomes.rows), Index{0});
  return rows;
}

Perceptron TrainPerceptron(const FeatureRows& rows, std::span<const float> targets,
                           const PerceptronTraining& training, const Perceptron* start,
                           RandomStream random, const RunContext& context) {
  Trainer trainer(rows, training, start, random);
  std::vector<Index> order(targets.size());
  std::iota(order.begin(), order.end(), Index{0});
  const auto batch_rows =
      std::min<std::size_t>(static_cast<std::size_t>(training.batch_rows), order.size());
  std::size_t next = order.size();
  for (std::int64_t step = 1; step <= training.steps; ++step) {
    if (step % 64 == 0) context.ThrowIfStopped();
    if (next >= order.size()) {
      next = 0;
      for (std::size_t i = order.size(); i > 1; --i) {
        std::swap(order[i - 1], order[random.Below(i)]);
      }
    }
    const auto batch =
        std::span<const Index>(order).subspan(next, std::min(batch_rows, order.size() - next));
    next += batch.size();
    Eigen::VectorXf batch_targets(static_cast<Index>(batch.size()));
    for (std::size_t r = 0; r < batch.size(); ++r) {
      batch_targets[static_cast<Index>(r)] = targets[static_cast<std::size_t>(batch[r])];
    }
    const double progress = static_cast<double>(step) / static_cast<double>(training.steps);
    const auto t = static_cast<float>(step);
    trainer.Step(batch, batch_targets,
                 {static_cast<float>(0.5 * training.learning_rate *
                                     (1.0 + std::cos(std::numbers::pi * progress))),
                  static_cast<float>(training.weight_decay), 1.0F / (1.0F - std::pow(kBeta1, t)),
                  1.0F / (1.0F - std::pow(kBeta2, t))});
  }
  Perceptron network = trainer.network();
  if (!network.output.weights.allFinite() || !network.hidden.front().weights.allFinite()) {
    throw Error(ErrorId::kTrainingDiverged, "the predictor's weights became infinite")
        .Hint("lower the learning rate");
  }
  return network;
}

}  // namespace bitsearch
