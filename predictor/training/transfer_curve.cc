// Splits, methods and their averages.
#include "predictor/training/transfer_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "predictor/predictor.h"
#include "space/support/error.h"
#include "space/support/statistics.h"

namespace bitsearch {
namespace {

using Eigen::Index;
using Eigen::VectorXd;

/// Rows of one split: `train` shuffled, so that its first n are the n samples.
struct Split {
  std::vector<std::size_t> train, test, source;
};

template <typename T>
void Shuffle(std::vector<T>& values, RandomStream& random) {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.Below(i)]);
}

Split MakeSplit(const TransferProblem& problem, double tested_share, std::uint64_t seed,
                int index) {
  std::vector<int> groups = problem.target_groups;
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  RandomStream random(seed, "transfer_split", static_cast<std::uint64_t>(index));
  Shuffle(groups, random);
  const auto tested_count =
      static_cast<std::size_t>(tested_share * static_cast<double>(groups.size()));
  const std::set<int> tested(groups.begin(),
                             groups.begin() + static_cast<std::ptrdiff_t>(tested_count));
  Split split;
  for (std::size_t r = 0; r < problem.target_groups.size(); ++r) {
    (tested.contains(problem.target_groups[r]) ? split.test : split.train).push_back(r);
  }
  for (std::size_t r = 0; r < problem.source_groups.size(); ++r) {
    if (!tested.contains(problem.source_groups[r])) split.source.push_back(r);
  }
  Shuffle(split.train, random);
  return split;
}

std::vector<std::uint8_t> Genomes(const std::vector<std::uint8_t>& of, std::size_t genes,
                                  std::span<const std::size_t> rows) {
  std::vector<std::uint8_t> picked;
  for (const std::size_t r : rows) {
    const auto* row = of.data() + r * genes;
    picked.insert(picked.end(), row, row + genes);
  }
  return picked;
}

TrainingRows Targets(const TransferProblem& problem, std::span<const std::size_t> rows) {
  TrainingRows picked;
  picked.genomes = Genomes(problem.target.genomes, problem.encoding.space().size(), rows);
  for (const std::size_t r : rows) picked.top1_percent.push_back(problem.target.top1_percent[r]);
  return picked;
}

/// Everything of one split that the numbers of samples share.
class SplitRun {
 public:
  SplitRun(const TransferProblem& problem, const TransferCurveOptions& options, Split split,
           const RunContext& context)
      : problem_(problem),
        options_(options),
        split_(std::move(split)),
        context_(context),
        test_(Targets(problem, split_.test)) {
    source_.genomes = Genomes(problem.source.genomes, genes(), split_.source);
    source_.accuracies.resize(static_cast<Index>(split_.source.size()),
                              problem.source.accuracies.cols());
    for (std::size_t r = 0; r < split_.source.size(); ++r) {
      source_.accuracies.row(static_cast<Index>(r)) =
          problem.source.accuracies.row(static_cast<Index>(split_.source[r]));
    }
  }

  const Split& split() const { return split_; }
  const TrainingRows& test() const { return test_; }

  /// Predictions for the tested rows.
  std::vector<double> Predict(TransferMethod method, std::size_t samples) {
    switch (method) {
      case TransferMethod::kScratch:
        return ByNetwork(samples, nullptr, 0.0);
      case TransferMethod::kTransferred:
        return ByNetwork(samples, &Pretrained(), 0.0);
      case TransferMethod::kTransferredRanking:
        return ByNetwork(samples, &Pretrained(), 0.5);
      case TransferMethod::kProcessScratch:
        return ByProcess(samples, nullptr);
      case TransferMethod::kProcess:
        return ByProcess(samples, Source());
      case TransferMethod::kReference:
        break;
    }
    std::vector<double> scores;
    for (const std::size_t r : split_.test) scores.push_back(problem_.reference[r]);
    return scores;
  }

 private:
  std::size_t genes() const { return problem_.encoding.space().size(); }
  GenomeView View(const std::vector<std::uint8_t>& genomes) const {
    return {genomes.data(), genomes.size() / genes(), genes()};
  }
  TrainingRows Samples(std::size_t count) const {
    return Targets(problem_, std::span(split_.train).first(count));
  }

  const Perceptron& Pretrained() {
    if (!pretrained_.has_value()) {
      const VectorXd accuracies = source_.accuracies.col(0);
      const double mean = accuracies.mean();
      const double deviation = std::sqrt((accuracies.array() - mean).square().mean());
      const Eigen::VectorXf targets = ((accuracies.array() - mean) / deviation).cast<float>();
      pretrained_ = TrainPerceptron(
          FeaturesOf(problem_.encoding, View(source_.genomes), problem_.source_sees_bits),
          {targets.data(), split_.source.size()}, options_.pretraining, nullptr,
          RandomStream(context_.root_seed, "transfer_pretraining"), context_);
    }
    return *pretrained_;
  }
  std::shared_ptr<const SourceModel> Source() {
    if (source_model_ == nullptr) {
      SourceOptions options = options_.source;
      options.with_bits = problem_.source_sees_bits;
      source_model_ = std::make_shared<SourceModel>(problem_.encoding, source_, options, context_);
    }
    return source_model_;
  }

  std::vector<double> ByNetwork(std::size_t samples, const Perceptron* start, double ranking) {
    const TrainingRows rows = Samples(samples);
    const Eigen::Map<const VectorXd> measured(rows.top1_percent.data(),
                                              static_cast<Index>(samples));
    const double mean = measured.mean();
    const double deviation = std::max(1e-3, std::sqrt((measured.array() - mean).square().mean()));
    const Eigen::VectorXf targets = ((measured.array() - mean) / deviation).cast<float>();
    PerceptronTraining training = options_.scratch;
    constexpr std::size_t kMany = 1000;  // The peer's schedule: twice as long from here on.
    if (samples >= kMany) training.steps *= 2;
    if (start != nullptr) training.learning_rate = options_.tuning_rate;
    training.ranking_share = ranking;
    PredictorModel model;
    model.encoding = problem_.encoding;
    model.members = {TrainPerceptron(
        FeaturesOf(problem_.encoding, View(rows.genomes)), {targets.data(), samples}, training,
        start, RandomStream(context_.root_seed, "transfer_tuning", samples), context_)};
    model.output_offset_percent = mean;
    model.output_scale_percent = deviation;
    Predictor predictor(std::move(model));
    return Scores(predictor);
  }
  std::vector<double> ByProcess(std::size_t samples, std::shared_ptr<const SourceModel> source) {
    TransferPredictor predictor(problem_.encoding, std::move(source), Samples(samples),
                                problem_.summaries, options_.process);
    return Scores(predictor);
  }
  std::vector<double> Scores(CandidateEvaluator& predictor) const {
    std::vector<CandidateScore> scores(split_.test.size());
    predictor.Evaluate(View(test_.genomes), scores);
    std::vector<double> accuracies;
    for (const CandidateScore& score : scores) accuracies.push_back(score.top1_percent);
    return accuracies;
  }

  const TransferProblem& problem_;
  const TransferCurveOptions& options_;
  Split split_;
  RunContext context_;
  TrainingRows test_;
  SourceRows source_;
  std::optional<Perceptron> pretrained_;
  std::shared_ptr<const SourceModel> source_model_;
};

void AnswerPairs(const TransferProblem& problem, const Split& split,
                 std::span<const double> predicted, CurvePoint& point) {
  std::map<std::size_t, std::size_t> place;
  for (std::size_t i = 0; i < split.test.size(); ++i) place[split.test[i]] = i;
  double right = 0.0, tied = 0.0, count = 0.0;
  for (const auto& [a, b] : problem.pairs) {
    const auto first = place.find(a), second = place.find(b);
    if (first == place.end() || second == place.end()) continue;
    const double difference = predicted[first->second] - predicted[second->second];
    const double measured = problem.target.top1_percent[a] - problem.target.top1_percent[b];
    count += 1.0;
    tied += difference == 0.0 ? 1.0 : 0.0;
    right += difference == 0.0 ? 0.5 : (difference > 0.0) == (measured > 0.0) ? 1.0 : 0.0;
  }
  point.pairs_right = right / count;
  point.pairs_tied = tied / count;
}

std::vector<MethodComparison> Compare(const std::vector<CurvePoint>& points, double tested_share) {
  std::map<std::pair<std::size_t, TransferMethod>, std::map<int, double>> accuracies;
  for (const CurvePoint& point : points) {
    accuracies[{point.samples, point.method}][point.split] = point.quality.pairwise_accuracy;
  }
  std::vector<MethodComparison> comparisons;
  for (const auto& [key, values] : accuracies) {
    const auto scratch = accuracies.find({key.first, TransferMethod::kScratch});
    if (scratch == accuracies.end() || key.second == TransferMethod::kScratch) continue;
    std::vector<double> differences;
    for (const auto& [split, value] : values) {
      differences.push_back(value - scratch->second.at(split));
    }
    if (differences.size() < 2) continue;
    MethodComparison comparison{key.second, TransferMethod::kScratch, key.first, 0.0, 1.0};
    for (const double difference : differences) {
      comparison.mean_difference += difference / static_cast<double>(differences.size());
    }
    comparison.p_value = CorrectedResampledPValue(differences, tested_share / (1 - tested_share));
    comparisons.push_back(comparison);
  }
  return comparisons;
}

std::string LineName(TransferMethod method, const std::string& reference_name) {
  return method == TransferMethod::kReference ? reference_name : std::string(NameOf(method));
}

}  // namespace

std::string_view NameOf(TransferMethod method) {
  switch (method) {
    case TransferMethod::kScratch:
      return "network from scratch";
    case TransferMethod::kTransferred:
      return "network transferred";
    case TransferMethod::kTransferredRanking:
      return "network transferred, ranking loss";
    case TransferMethod::kProcessScratch:
      return "process from scratch";
    case TransferMethod::kProcess:
      return "process on transferred features";
    case TransferMethod::kReference:
      break;
  }
  return "reference";
}

TransferCurve MeasureTransferCurve(const TransferProblem& problem,
                                   const TransferCurveOptions& options, const RunContext& context) {
  TransferCurve curve;
  curve.tested_share = options.tested_share;
  for (int s = 0; s < options.splits; ++s) {
    RunContext its = context;
    its.root_seed =
        RandomStream(context.root_seed, "transfer_seed", static_cast<std::uint64_t>(s))();
    SplitRun run(problem, options, MakeSplit(problem, options.tested_share, context.root_seed, s),
                 its);
    if (run.split().test.size() < 2) {
      throw Error(ErrorId::kPredictorData,
                  fmt::format("a split of {} expensive measurements has {} to test on",
                              problem.target_groups.size(), run.split().test.size()));
    }
    for (const std::size_t samples : options.samples) {
      if (samples > run.split().train.size()) continue;
      for (const TransferMethod method : options.methods) {
        if (method == TransferMethod::kReference && problem.reference.empty()) continue;
        context.ThrowIfStopped();
        const std::vector<double> predicted = run.Predict(method, samples);
        CurvePoint point{method, samples, s, QualityOf(predicted, run.test().top1_percent), 0, 0};
        AnswerPairs(problem, run.split(), predicted, point);
        curve.points.push_back(point);
        context.progress->Log(fmt::format("split {}, {} samples, {}: pairwise {:.4f}", s, samples,
                                          LineName(method, problem.reference_name),
                                          point.quality.pairwise_accuracy));
      }
    }
    context.progress->Progress("transfer curve", s + 1, options.splits);
  }
  if (curve.points.empty()) {
    throw Error(ErrorId::kPredictorData, "fewer expensive measurements than the curve asks for")
        .Hint("ask for fewer samples or measure more configurations");
  }
  curve.comparisons = Compare(curve.points, options.tested_share);
  return curve;
}

std::string TransferCurveJson(const TransferCurve& curve, const std::string& reference_name) {
  using Json = nlohmann::ordered_json;
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
  Json points = Json::array();
  for (const CurvePoint& point : curve.points) {
    points.push_back(
        {{"method", LineName(point.method, reference_name)},
         {"samples", point.samples},
         {"split", point.split},
         {"tested", point.quality.rows},
         {"pairwise_accuracy", number(point.quality.pairwise_accuracy)},
         {"kendall_tau", number(point.quality.kendall_tau)},
         {"rmse_percent",
          point.method == TransferMethod::kReference ? Json() : number(point.quality.rmse_percent)},
         {"pairs_right", number(point.pairs_right)},
         {"pairs_tied", number(point.pairs_tied)}});
  }
  Json comparisons = Json::array();
  for (const MethodComparison& comparison : curve.comparisons) {
    comparisons.push_back({{"better", LineName(comparison.better, reference_name)},
                           {"worse", LineName(comparison.worse, reference_name)},
                           {"samples", comparison.samples},
                           {"mean_difference", number(comparison.mean_difference)},
                           {"p_value", number(comparison.p_value)}});
  }
  return Json{{"format", "bitsearch/transfer-curve/1"},
              {"tested_share", curve.tested_share},
              {"points", points},
              {"comparisons", comparisons}}
             .dump(1) +
         "\n";
}

std::string TransferCurveText(const TransferCurve& curve, const std::string& reference_name) {
  struct Sum {
    double pairwise = 0.0, kendall = 0.0, rmse = 0.0, pairs = 0.0, tied = 0.0;
    int count = 0;
  };
  std::map<std::pair<std::size_t, TransferMethod>, Sum> sums;
  for (const CurvePoint& point : curve.points) {
    Sum& sum = sums[{point.samples, point.method}];
    sum.pairwise += point.quality.pairwise_accuracy;
    sum.kendall += point.quality.kendall_tau;
    sum.rmse += point.quality.rmse_percent;
    sum.pairs += point.pairs_right;
    sum.tied += point.pairs_tied;
    ++sum.count;
  }
  std::string text =
      fmt::format("{:>7}  {:34}{:>9}{:>9}{:>8}{:>8}{:>7}{:>8}\n", "samples", "method", "pairwise",
                  "Kendall", "RMSE", "pairs", "tied", "splits");
  for (const auto& [key, sum] : sums) {
    const bool reference = key.second == TransferMethod::kReference;
    text += fmt::format("{:7}  {:34}{:9.3f}{:9.3f}{:>8}{:8.3f}{:7.3f}{:8}\n", key.first,
                        LineName(key.second, reference_name), sum.pairwise / sum.count,
                        sum.kendall / sum.count,
                        reference ? "" : fmt::format("{:.2f}", sum.rmse / sum.count),
                        sum.pairs / sum.count, sum.tied / sum.count, sum.count);
  }
  for (const MethodComparison& comparison : curve.comparisons) {
    text += fmt::format("{} against {}, {} samples: {:+.4f} (p = {:.2g})\n",
                        LineName(comparison.better, reference_name),
                        LineName(comparison.worse, reference_name), comparison.samples,
                        comparison.mean_difference, comparison.p_value);
  }
  return text;
}

}  // namespace bitsearch
