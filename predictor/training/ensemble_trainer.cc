// Back-propagation through APQ's network, by hand: four products forward, eight backward.
#include "predictor/training/ensemble_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "space/support/error.h"
#include "space/support/random.h"
#include "space/support/statistics.h"

namespace bitsearch {
namespace {

using Eigen::Index;
using Eigen::MatrixXf;
using Eigen::VectorXf;

constexpr int kLeastRowsPerFold = 4;
constexpr float kBeta1 = 0.9F, kBeta2 = 0.999F, kEpsilon = 1e-8F;

/// One layer with Adam's moments.
class AdamLayer {
 public:
  /// `gain`² / inputs is the variance of the weights.
  AdamLayer(Index outputs, Index inputs, double gain, RandomStream& random) {
    layer_.weights.resize(outputs, inputs);
    layer_.bias = VectorXf::Zero(outputs);
    const double deviation = gain / std::sqrt(std::max<double>(1.0, static_cast<double>(inputs)));
    for (float& w : layer_.weights.reshaped()) w = static_cast<float>(deviation * random.Normal());
    for (auto* moment : {&mean_, &square_}) *moment = MatrixXf::Zero(outputs, inputs + 1);
  }
  DenseLayer& layer() { return layer_; }

  /// inputs × rows → outputs × rows.
  MatrixXf Forward(const MatrixXf& in) const {
    return (layer_.weights * in).colwise() + layer_.bias;
  }
  /// From the gradient of the outputs: updates, and returns the gradient of the inputs.
  MatrixXf Backward(const MatrixXf& in, const MatrixXf& out_gradient, float rate, float decay,
                    int step) {
    const MatrixXf in_gradient = layer_.weights.transpose() * out_gradient;
    MatrixXf gradient(layer_.weights.rows(), layer_.weights.cols() + 1);
    gradient.leftCols(layer_.weights.cols()).noalias() = out_gradient * in.transpose();
    gradient.rightCols(1) = out_gradient.rowwise().sum();
    mean_ = kBeta1 * mean_ + (1.0F - kBeta1) * gradient;
    square_.array() = kBeta2 * square_.array() + (1.0F - kBeta2) * gradient.array().square();
    const auto t = static_cast<float>(step);
    const float scale = rate * std::sqrt(1.0F - std::pow(kBeta2, t)) / (1.0F - std::pow(kBeta1, t));
    const MatrixXf change = scale * (mean_.array() / (square_.array().sqrt() + kEpsilon)).matrix();
    layer_.weights *= 1.0F - rate * decay;
    layer_.weights -= change.leftCols(layer_.weights.cols());
    layer_.bias -= change.rightCols(1);
    return in_gradient;
  }

 private:
  DenseLayer layer_;
  MatrixXf mean_, square_;
};

struct DenseRows {
  MatrixXf architecture, bits;  ///< Features × rows.
  VectorXf target;              ///< Standardized.
};

MatrixXf DenseOf(const Encoding& encoding, const GenomeView& view, FeatureGroup group) {
  const std::vector<float> values = encoding.Dense(view, group);
  return Eigen::Map<const MatrixXf>(values.data(),
                                    static_cast<Index>(encoding.features(group).size()),
                                    static_cast<Index>(view.rows));
}

MatrixXf Columns(const MatrixXf& of, std::span<const Index> columns) {
  MatrixXf picked(of.rows(), static_cast<Index>(columns.size()));
  for (std::size_t c = 0; c < columns.size(); ++c) {
    picked.col(static_cast<Index>(c)) = of.col(columns[c]);
  }
  return picked;
}

class Trainer {
 public:
  Trainer(const DenseRows& rows, const EnsembleOptions& options, RandomStream random)
      : rows_(rows),
        options_(options),
        random_(random),
        architecture_(options.width, rows.architecture.rows(), std::numbers::sqrt2, random_),
        // One feature of a gene's several is on: fewer inputs count than there are.
        bits_(options.width, rows.bits.rows(), std::numbers::sqrt2, random_),
        first_(options.width, options.width, std::numbers::sqrt2, random_),
        second_(options.width, options.width, std::numbers::sqrt2, random_),
        output_(1, options.width, 0.5, random_) {}

  Perceptron Train(std::vector<Index> order, const RunContext& context) {
    const auto rows = static_cast<int>(order.size());
    const int steps = options_.epochs * ((rows + options_.batch_rows - 1) / options_.batch_rows);
    int step = 0;
    for (int epoch = 0; epoch < options_.epochs; ++epoch) {
      context.ThrowIfStopped();
      for (std::size_t i = order.size(); i > 1; --i) {
        std::swap(order[i - 1], order[random_.Below(i)]);
      }
      for (int first = 0; first < rows; first += options_.batch_rows) {
        const int count = std::min(options_.batch_rows, rows - first);
        ++step;
        const double rate = 0.5 * options_.learning_rate *
                            (1.0 + std::cos(std::numbers::pi * step / static_cast<double>(steps)));
        Step(std::span(order).subspan(static_cast<std::size_t>(first),
                                      static_cast<std::size_t>(count)),
             static_cast<float>(rate), step);
      }
    }
    Perceptron network;
    network.architecture = architecture_.layer();
    network.bits = bits_.layer();
    network.hidden = {first_.layer(), second_.layer()};
    network.output = output_.layer();
    return network;
  }

 private:
  void Step(std::span<const Index> batch, float rate, int step) {
    const auto decay = static_cast<float>(options_.weight_decay);
    const MatrixXf architecture = Columns(rows_.architecture, batch);
    const MatrixXf bits = Columns(rows_.bits, batch);
    const MatrixXf a = architecture_.Forward(architecture);
    const MatrixXf in = a.cwiseMax(0.0F) + bits_.Forward(bits);
    const MatrixXf h1 = first_.Forward(in).cwiseMax(0.0F);
    const MatrixXf h2 = second_.Forward(h1).cwiseMax(0.0F);
    MatrixXf error = output_.Forward(h2);
    for (std::size_t c = 0; c < batch.size(); ++c) {
      error(0, static_cast<Index>(c)) -= rows_.target[batch[c]];
    }
    error *= 2.0F / static_cast<float>(batch.size());
    const auto through_relu = [](const MatrixXf& gradient, const MatrixXf& out) {
      return MatrixXf((out.array() > 0.0F).select(gradient, 0.0F));
    };
    const MatrixXf d2 = through_relu(output_.Backward(h2, error, rate, decay, step), h2);
    const MatrixXf d1 = through_relu(second_.Backward(h1, d2, rate, decay, step), h1);
    const MatrixXf d0 = first_.Backward(in, d1, rate, decay, step);
    bits_.Backward(bits, d0, rate, decay, step);
    architecture_.Backward(architecture, through_relu(d0, a), rate, decay, step);
  }

  const DenseRows& rows_;
  const EnsembleOptions& options_;
  RandomStream random_;
  AdamLayer architecture_, bits_, first_, second_, output_;
};

void CheckRows(const TrainingRows& rows, const EnsembleOptions& options, std::size_t genes) {
  const std::size_t count = rows.top1_percent.size();
  const auto least = static_cast<std::size_t>(std::max(2, options.members) * kLeastRowsPerFold);
  if (count < least || rows.genomes.size() != count * genes) {
    throw Error(ErrorId::kPredictorData,
                fmt::format("got {} measured configurations, allowed are {} or more", count, least))
        .Hint("a few hundred make a useful predictor");
  }
  for (std::size_t r = 0; r < count; ++r) {
    if (!(rows.top1_percent[r] >= 0.0 && rows.top1_percent[r] <= 100.0)) {
      throw Error(
          ErrorId::kPredictorData,
          fmt::format("got {} in row {}, allowed 0 to 100 (percent)", rows.top1_percent[r], r + 1))
          .Key("top1_percent");
    }
  }
}

}  // namespace

FitQuality QualityOf(std::span<const double> predicted, std::span<const double> measured) {
  FitQuality quality;
  quality.rows = measured.size();
  std::int64_t pairs = 0, right = 0;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    quality.rmse_percent += (predicted[i] - measured[i]) * (predicted[i] - measured[i]);
    for (std::size_t j = 0; j < i; ++j) {
      if (measured[i] == measured[j]) continue;
      ++pairs;
      if ((predicted[i] > predicted[j]) == (measured[i] > measured[j])) ++right;
    }
  }
  quality.rmse_percent = std::sqrt(quality.rmse_percent / static_cast<double>(measured.size()));
  quality.kendall_tau = KendallTau(predicted, measured);
  quality.pairwise_accuracy =
      pairs == 0 ? std::nan("") : static_cast<double>(right) / static_cast<double>(pairs);
  return quality;
}

TrainedEnsemble TrainEnsemble(Encoding encoding, const TrainingRows& rows,
                              const EnsembleOptions& options, const RunContext& context) {
  CheckRows(rows, options, encoding.space().size());
  const std::size_t count = rows.top1_percent.size();
  const GenomeView view{rows.genomes.data(), count, encoding.space().size()};
  encoding.space().Validate(view);
  const Eigen::Map<const Eigen::VectorXd> measured(rows.top1_percent.data(),
                                                   static_cast<Index>(count));
  const double mean = measured.mean();
  const double deviation = std::max(1e-3, std::sqrt((measured.array() - mean).square().mean()));
  const DenseRows dense{DenseOf(encoding, view, FeatureGroup::kArchitecture),
                        DenseOf(encoding, view, FeatureGroup::kBits),
                        ((measured.array() - mean) / deviation).cast<float>()};

  std::vector<Index> shuffled(count);
  std::iota(shuffled.begin(), shuffled.end(), Index{0});
  RandomStream folds(context.root_seed, "predictor_folds");
  for (std::size_t i = count; i > 1; --i) std::swap(shuffled[i - 1], shuffled[folds.Below(i)]);

  TrainedEnsemble result;
  PredictorModel& model = result.model;
  model.encoding = std::move(encoding);
  model.output_offset_percent = mean;
  model.output_scale_percent = deviation;
  for (std::size_t g = 0; g < view.genes; ++g) model.trained_values.push_back(0);
  std::vector<std::uint8_t> active(view.genes);
  for (std::size_t r = 0; r < count; ++r) {
    model.encoding.space().Activity(view.row(r), active);
    for (std::size_t g = 0; g < view.genes; ++g) {
      if (active[g] != 0) model.trained_values[g] |= std::uint64_t{1} << view.row(r)[g];
    }
  }
  const auto members = static_cast<std::size_t>(options.members);
  for (std::size_t m = 0; m < members; ++m) {
    std::vector<Index> train;
    for (std::size_t i = 0; i < count; ++i) {
      if (i % members != m) train.push_back(shuffled[i]);
    }
    Trainer trainer(dense, options, RandomStream(context.root_seed, "predictor_member", m));
    model.members.push_back(trainer.Train(std::move(train), context));
    context.progress->Progress("train predictor", static_cast<std::int64_t>(m + 1),
                               static_cast<std::int64_t>(members));
    if (!model.members.back().output.weights.allFinite()) {
      throw Error(ErrorId::kTrainingDiverged, "the predictor's weights became infinite")
          .Hint("lower the learning rate");
    }
  }

  std::vector<double> unseen(count);
  std::vector<CandidateScore> scores(count);
  for (std::size_t m = 0; m < members; ++m) {
    PredictorModel single = model;
    single.members = {model.members[m]};
    Predictor(std::move(single)).Predict(view, scores);
    for (std::size_t i = m; i < count; i += members) {
      const auto r = static_cast<std::size_t>(shuffled[i]);
      unseen[r] = scores[r].top1_percent;
    }
  }
  result.cross_validated = QualityOf(unseen, rows.top1_percent);
  Predictor(model).Predict(view, scores);
  double spread = 0.0;
  for (const CandidateScore& score : scores) {
    spread += score.standard_deviation_percent * score.standard_deviation_percent /
              static_cast<double>(count);
  }
  const double error = result.cross_validated.rmse_percent * result.cross_validated.rmse_percent;
  model.residual_deviation_percent = std::sqrt(std::max(0.0, error - spread));
  return result;
}

}  // namespace bitsearch
