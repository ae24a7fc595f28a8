// Features, ranks, and the way back to accuracies.
#include "predictor/training/transfer_predictor.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

using Eigen::Index;
using Eigen::VectorXd;

constexpr std::size_t kLeastRows = 5;
constexpr std::size_t kBlockRows = 512;
/// Slope beyond the outermost blocks, as a share of the overall slope: keeps the order of
/// candidates without promising accuracies that nothing showed.
constexpr double kTailSlope = 0.01;

}  // namespace

MonotoneMap::MonotoneMap(const VectorXd& from, const VectorXd& to) {
  std::vector<Index> order(static_cast<std::size_t>(from.size()));
  std::iota(order.begin(), order.end(), Index{0});
  std::sort(order.begin(), order.end(), [&](Index a, Index b) {
    return from[a] != from[b] ? from[a] < from[b] : to[a] < to[b];
  });
  std::vector<double> weight;
  for (const Index i : order) {
    from_.push_back(from[i]);
    to_.push_back(to[i]);
    weight.push_back(1.0);
    while (to_.size() > 1 &&
           (to_[to_.size() - 2] >= to_.back() || from_[from_.size() - 2] >= from_.back())) {
      const std::size_t last = to_.size() - 1;
      const double sum = weight[last - 1] + weight[last];
      const auto pool = [&](std::vector<double>& values) {
        values[last - 1] =
            (values[last - 1] * weight[last - 1] + values[last] * weight[last]) / sum;
        values.pop_back();
      };
      pool(from_);
      pool(to_);
      weight[last - 1] = sum;
      weight.pop_back();
    }
  }
  const double width = from_.back() - from_.front();
  tail_slope_ = width > 0.0 ? kTailSlope * (to_.back() - to_.front()) / width : kTailSlope;
}

double MonotoneMap::operator()(double value) const {
  if (value <= from_.front()) return to_.front() + tail_slope_ * (value - from_.front());
  if (value >= from_.back()) return to_.back() + tail_slope_ * (value - from_.back());
  const auto above =
      static_cast<std::size_t>(std::upper_bound(from_.begin(), from_.end(), value) - from_.begin());
  const double share = (value - from_[above - 1]) / (from_[above] - from_[above - 1]);
  return to_[above - 1] + share * (to_[above] - to_[above - 1]);
}

TransferPredictor::TransferPredictor(Encoding encoding, std::shared_ptr<const SourceModel> source,
                                     const TrainingRows& rows, BitSummaries summaries,
                                     const GaussianProcessOptions& options)
    : encoding_(std::move(encoding)), source_(std::move(source)), summaries_(std::move(summaries)) {
  const std::size_t count = rows.top1_percent.size();
  const Eigen::Map<const VectorXd> measured(rows.top1_percent.data(), static_cast<Index>(count));
  if (count < kLeastRows || rows.genomes.size() != count * space().size() ||
      !measured.allFinite()) {
    throw Error(ErrorId::kPredictorData,
                "expensive measurements: fewer than 5, or one is not finite");
  }
  process_ = std::make_unique<GaussianProcess>(
      Features({rows.genomes.data(), count, space().size()}), UniformRanks(measured), options);
  const VectorXd unseen = process_->leave_one_out().col(0);
  to_percent_ = MonotoneMap(unseen, measured);
  double squares = 0.0;
  for (Index r = 0; r < unseen.size(); ++r) {
    squares += std::pow(to_percent_(unseen[r]) - measured[r], 2);
  }
  residual_percent_ = std::sqrt(squares / static_cast<double>(count));
}

FeatureGroups TransferPredictor::Features(const GenomeView& genomes) const {
  FeatureGroups groups = CandidateFeatures(encoding_, genomes, summaries_);
  if (source_ != nullptr) {
    SourceModel::Output output = source_->Run(genomes);
    groups.push_back(std::move(output.ranks));
    groups.push_back(std::move(output.embedding));
  }
  return groups;
}

void TransferPredictor::Evaluate(const GenomeView& genomes, std::span<CandidateScore> scores) {
  for (std::size_t first = 0; first < genomes.rows; first += kBlockRows) {
    const std::size_t count = std::min(kBlockRows, genomes.rows - first);
    const auto prediction = process_->Predict(Features(genomes.Slice(first, count)), true);
    for (std::size_t r = 0; r < count; ++r) {
      const auto row = static_cast<Index>(r);
      const double spread = std::sqrt((prediction.variance[row] + process_->noise_variance()) /
                                      process_->mean_unseen_variance());
      scores[first + r] = {to_percent_(prediction.mean(row, 0)), residual_percent_ * spread};
    }
  }
}

}  // namespace bitsearch
