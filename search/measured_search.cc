// Thompson sampling over per-layer losses with the exact solver inside. Eigen stays in this file.
#include "search/measured_search.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include "search/solver.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

// Of a predicted loss: how far off it may be. Of a measurement: what a sum of losses does not
// explain. Both from the CIFAR-10 ResNets, where one-layer losses at 2 and 3 bits sum to between
// 0.6 and 1.3 times what is measured.
constexpr double kPriorDeviation = 0.5;
constexpr double kMisfit = 0.1;

/// The losses of a problem, corrected by measurements of whole configurations.
class LossBelief {
 public:
  LossBelief(const AssignmentProblem& problem, const std::vector<RankedConfiguration>& measured)
      : problem_(problem) {
    std::vector<double> ratios;
    std::vector<double> values;
    for (const RankedConfiguration& candidate : measured) {
      values.push_back(candidate.measured);
      if (candidate.predicted > 0.0 && candidate.measured > 0.0) {
        ratios.push_back(candidate.measured / candidate.predicted);
      }
    }
    scale_ = ratios.empty() ? 1.0 : Median(ratios);
    // A layer whose predicted loss is nearly nothing may still turn out to matter.
    constexpr double kFloorShare = 0.02;
    const double floor =
        kFloorShare * std::abs(Median(values)) / static_cast<double>(problem.layer_count());
    std::size_t at = 0;
    for (const std::vector<double>& losses : problem.loss) {
      offset_.push_back(at);
      const double least = *std::min_element(losses.begin(), losses.end());
      for (const double loss : losses) {
        deviation_.push_back(kPriorDeviation * scale_ * (loss - least) + floor);
      }
      at += losses.size();
    }
    Condition(measured);
  }

  /// The problem with losses drawn from the posterior.
  AssignmentProblem Draw(RandomStream& random) const {
    Eigen::VectorXd shift(static_cast<Eigen::Index>(deviation_.size()));
    for (Eigen::Index i = 0; i < shift.size(); ++i) {
      shift[i] = deviation_[static_cast<std::size_t>(i)] * random.Normal();
    }
    Eigen::VectorXd residual = residual_;
    for (Eigen::Index n = 0; n < residual.size(); ++n) {
      residual[n] -= noise_[n] * random.Normal();
    }
    residual -= design_ * shift;
    shift += covariance_ * (design_.transpose() * gram_.solve(residual));

    AssignmentProblem drawn = problem_;
    for (std::size_t l = 0; l < drawn.loss.size(); ++l) {
      for (std::size_t c = 0; c < drawn.loss[l].size(); ++c) {
        drawn.loss[l][c] =
            scale_ * drawn.loss[l][c] + shift[static_cast<Eigen::Index>(offset_[l] + c)];
      }
    }
    for (PairTerm& pair : drawn.pairs) {
      for (double& loss : pair.loss) loss *= scale_;
    }
    return drawn;
  }

 private:
  static double Median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }

  void Condition(const std::vector<RankedConfiguration>& measured) {
    const auto rows = static_cast<Eigen::Index>(measured.size());
    const auto columns = static_cast<Eigen::Index>(deviation_.size());
    design_ = Eigen::MatrixXd::Zero(rows, columns);
    residual_.resize(rows);
    noise_.resize(rows);
    for (Eigen::Index n = 0; n < rows; ++n) {
      const RankedConfiguration& candidate = measured[static_cast<std::size_t>(n)];
      for (std::size_t l = 0; l < candidate.choice.size(); ++l) {
        design_(n, static_cast<Eigen::Index>(offset_[l] + candidate.choice[l].value)) = 1.0;
      }
      residual_[n] = candidate.measured - scale_ * candidate.predicted;
      noise_[n] = kMisfit * std::abs(candidate.measured) + 1e-12;
    }
    Eigen::VectorXd variance(columns);
    for (Eigen::Index i = 0; i < columns; ++i) {
      const double deviation = deviation_[static_cast<std::size_t>(i)];
      variance[i] = deviation * deviation;
    }
    covariance_ = variance.asDiagonal();
    Eigen::MatrixXd gram = design_ * covariance_ * design_.transpose();
    gram += noise_.cwiseAbs2().asDiagonal();
    gram_.compute(gram);
  }

  const AssignmentProblem& problem_;
  double scale_ = 1.0;
  std::vector<std::size_t> offset_;  ///< Of a layer's first choice among all choices.
  std::vector<double> deviation_;    ///< Prior, by choice.
  Eigen::MatrixXd design_;           ///< [measurement][choice]: 1 where chosen.
  Eigen::VectorXd residual_;
  Eigen::VectorXd noise_;
  Eigen::DiagonalMatrix<double, Eigen::Dynamic> covariance_;
  Eigen::LDLT<Eigen::MatrixXd> gram_;
};

/// A configuration that was not measured yet; nothing if several draws only repeat.
std::optional<std::vector<ChoiceIndex>> Propose(const LossBelief& belief,
                                                const std::set<std::vector<ChoiceIndex>>& known,
                                                const Solver& solver, RandomStream& random,
                                                const RunContext& quiet) {
  constexpr int kDraws = 8;
  for (int draw = 0; draw < kDraws; ++draw) {
    const Solution solution = solver.Solve(belief.Draw(random), SolverOptions{}, quiet);
    quiet.ThrowIfStopped();
    if (!solution.has_choice()) return std::nullopt;
    if (!known.contains(solution.choice)) return solution.choice;
  }
  return std::nullopt;
}

}  // namespace

std::vector<RankedConfiguration> SearchByMeasurement(
    const AssignmentProblem& problem, const std::vector<std::vector<ChoiceIndex>>& starts,
    const MeasureConfiguration& measure, const MeasuredSearchOptions& options,
    const RunContext& context) {
  std::vector<RankedConfiguration> measured;
  std::set<std::vector<ChoiceIndex>> known;
  const auto add = [&](const std::vector<ChoiceIndex>& choice) {
    const Assessment assessment = problem.Assess(choice);
    if (!assessment.feasible() || !known.insert(choice).second) return;
    context.ThrowIfStopped();
    measured.push_back({choice, assessment.objective, measure(choice)});
    context.progress->Progress("measure " + options.stream,
                               static_cast<std::int64_t>(measured.size()), options.evaluations);
  };
  const auto full = [&] {
    return static_cast<std::int64_t>(measured.size()) >= options.evaluations;
  };
  for (const std::vector<ChoiceIndex>& start : starts) {
    if (!full()) add(start);
  }
  if (measured.empty()) return measured;

  RunContext quiet = context;
  quiet.progress = std::make_shared<NullProgressSink>();
  const auto solver = MakeSolver("auto");
  for (std::uint64_t step = 0; !full(); ++step) {
    RandomStream random(context.root_seed, "measured_search." + options.stream, step);
    const auto proposal = Propose(LossBelief(problem, measured), known, *solver, random, quiet);
    if (!proposal.has_value()) break;
    add(*proposal);
  }
  std::stable_sort(measured.begin(), measured.end(),
                   [](const RankedConfiguration& a, const RankedConfiguration& b) {
                     return a.measured < b.measured;
                   });
  return measured;
}

}  // namespace bitsearch
