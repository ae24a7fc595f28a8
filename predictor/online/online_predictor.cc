// Scaling of hidden units, and the sum of prediction and correction.
#include "predictor/online/online_predictor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

constexpr std::size_t kReferenceRows = 256;
/// Measurements repeat to about this at best, whatever a predictor file says.
constexpr double kLeastNoisePercent = 0.05;

}  // namespace

OnlinePredictor::OnlinePredictor(const Predictor& predictor) : predictor_(predictor) {
  // A fixed random sample of the space sets the scale of the units and the size of the prior.
  RandomStream random(0, "online_reference");
  std::vector<std::uint8_t> rows;
  for (std::size_t r = 0; r < kReferenceRows; ++r) {
    for (std::size_t g = 0; g < space().size(); ++g) {
      rows.push_back(static_cast<std::uint8_t>(
          random.Below(static_cast<std::uint64_t>(space().cardinality(g)))));
    }
  }
  const GenomeView view{rows.data(), kReferenceRows, space().size()};
  std::vector<CandidateScore> scores(kReferenceRows);
  predictor_.Predict(view, scores);
  double variance = 0.0;
  for (const CandidateScore& score : scores) {
    variance += score.standard_deviation_percent * score.standard_deviation_percent /
                static_cast<double>(kReferenceRows);
  }
  const Eigen::MatrixXd raw = Features(view);
  const Eigen::Index units = raw.rows() - 1;  // The last one is the constant.
  const double mean_square = units > 0 ? raw.topRows(units).colwise().squaredNorm().mean() : 0.0;
  feature_scale_ = mean_square > 0.0 ? 1.0 / std::sqrt(mean_square) : 1.0;
  const double residual = predictor_.model().residual_deviation_percent;
  const double noise = std::max(kLeastNoisePercent, std::sqrt(0.5) * residual);
  // Scaled units and the constant have length² 2 on average: half of what is unsure is w's share.
  const double prior = std::max(kLeastNoisePercent, std::sqrt(0.5 * variance));
  layer_ = std::make_shared<BayesianLayer>(static_cast<std::size_t>(units + 1), prior, noise);
}

Eigen::MatrixXd OnlinePredictor::Features(const GenomeView& genomes) const {
  std::vector<float> hidden;
  predictor_.LastHidden(genomes, hidden);
  const std::size_t width = predictor_.feature_count();
  const std::size_t used = std::min(width, kMostFeatures);
  Eigen::MatrixXd features(static_cast<Eigen::Index>(used + 1),
                           static_cast<Eigen::Index>(genomes.rows));
  for (std::size_t r = 0; r < genomes.rows; ++r) {
    const Eigen::Map<const Eigen::VectorXf> row(hidden.data() + r * width,
                                                static_cast<Eigen::Index>(used));
    const auto column = static_cast<Eigen::Index>(r);
    features.col(column).head(row.size()) = row.cast<double>() * feature_scale_;
    features(row.size(), column) = 1.0;
  }
  return features;
}

std::shared_ptr<const BayesianLayer> OnlinePredictor::Layer() const {
  const std::lock_guard lock(mutex_);
  return layer_;
}

std::size_t OnlinePredictor::told() const { return Layer()->observations(); }

void OnlinePredictor::Predict(const GenomeView& genomes, std::span<CandidateScore> scores) const {
  const std::shared_ptr<const BayesianLayer> layer = Layer();
  predictor_.Predict(genomes, scores);
  if (layer->observations() == 0) return;
  const std::vector<Correction> corrections = layer->Predict(Features(genomes));
  const double residual = predictor_.model().residual_deviation_percent;
  for (std::size_t r = 0; r < genomes.rows; ++r) {
    const Correction& correction = corrections[r];
    const double deviation = scores[r].standard_deviation_percent;
    const double spread = std::max(0.0, deviation * deviation - residual * residual);
    const double narrowed = correction.variance / correction.prior_variance;
    const double noise = layer->noise_deviation();
    scores[r] = {scores[r].top1_percent + correction.mean,
                 std::sqrt(narrowed * spread + correction.variance + noise * noise)};
  }
}

void OnlinePredictor::Tell(std::span<const std::uint8_t> genome, double top1_percent) {
  if (!(top1_percent >= 0.0 && top1_percent <= 100.0)) {
    throw Error(ErrorId::kPredictorData,
                fmt::format("got {}, allowed 0 to 100 (percent)", top1_percent))
        .Key("top1_percent");
  }
  const std::lock_guard one_at_a_time(telling_);
  const GenomeView view{genome.data(), 1, genome.size()};
  CandidateScore base;
  predictor_.Predict(view, {&base, 1});
  auto next = std::make_shared<BayesianLayer>(*Layer());
  next->Observe(Features(view).col(0), top1_percent - base.top1_percent);
  const std::lock_guard lock(mutex_);
  layer_ = std::move(next);
}

}  // namespace bitsearch
