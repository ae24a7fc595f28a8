// Folds, their networks, and the error on rows that a network has not seen.
#include "predictor/training/ensemble_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "predictor/training/perceptron_trainer.h"
#include "space/support/error.h"
#include "space/support/random.h"
#include "space/support/statistics.h"

namespace bitsearch {
namespace {

using Eigen::Index;

constexpr int kLeastRowsPerFold = 4;

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
  std::int64_t pairs = 0;
  double right = 0.0;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    quality.rmse_percent += (predicted[i] - measured[i]) * (predicted[i] - measured[i]);
    for (std::size_t j = 0; j < i; ++j) {
      if (measured[i] == measured[j]) continue;
      ++pairs;
      const bool tied = predicted[i] == predicted[j];
      if (tied || (predicted[i] > predicted[j]) == (measured[i] > measured[j])) {
        right += tied ? 0.5 : 1.0;
      }
    }
  }
  quality.rmse_percent = std::sqrt(quality.rmse_percent / static_cast<double>(measured.size()));
  quality.kendall_tau = KendallTau(predicted, measured);
  quality.pairwise_accuracy = pairs == 0 ? std::nan("") : right / static_cast<double>(pairs);
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
  const FeatureRows features = FeaturesOf(encoding, view);
  const Eigen::VectorXf targets = ((measured.array() - mean) / deviation).cast<float>();

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
    const auto batches =
        (static_cast<int>(train.size()) + options.batch_rows - 1) / options.batch_rows;
    const Eigen::VectorXf its_targets = targets(train);
    model.members.push_back(TrainPerceptron(
        {features.architecture(train, Eigen::all), features.bits(train, Eigen::all)},
        {its_targets.data(), train.size()},
        {options.width, std::int64_t{options.epochs} * batches, options.batch_rows,
         options.learning_rate, options.weight_decay},
        nullptr, RandomStream(context.root_seed, "predictor_member", m), context));
    context.progress->Progress("train predictor", static_cast<std::int64_t>(m + 1),
                               static_cast<std::int64_t>(members));
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
