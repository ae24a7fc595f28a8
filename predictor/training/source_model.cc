// Ranks → networks → ranks and principal components.
#include "predictor/training/source_model.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "space/support/error.h"

namespace bitsearch {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr std::size_t kComponentRows = 2000;  // Rows that components are computed from.

}  // namespace

VectorXd UniformRanks(const VectorXd& values) {
  std::vector<Index> order(static_cast<std::size_t>(values.size()));
  std::iota(order.begin(), order.end(), Index{0});
  std::sort(order.begin(), order.end(), [&](Index a, Index b) { return values[a] < values[b]; });
  VectorXd ranks(values.size());
  const auto count = static_cast<double>(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double middle = 0.5 * static_cast<double>(begin + end);
    for (std::size_t i = begin; i < end; ++i) {
      ranks[order[i]] = std::sqrt(12.0) * (middle / count - 0.5);
    }
  }
  return ranks;
}

SourceModel::SourceModel(const Encoding& encoding, const SourceRows& rows,
                         const SourceOptions& options, const RunContext& context)
    : encoding_(encoding) {
  const auto count = static_cast<std::size_t>(rows.accuracies.rows());
  if (count < 2 || rows.genomes.size() != count * encoding.space().size() ||
      !rows.accuracies.allFinite()) {
    throw Error(ErrorId::kPredictorData, "cheap measurements: too few, or one is not finite")
        .Hint("transfer needs some hundreds of them");
  }
  const GenomeView view{rows.genomes.data(), count, encoding.space().size()};
  const FeatureRows features = FeaturesOf(encoding, view, options.with_bits);
  for (Index kind = 0; kind < rows.accuracies.cols(); ++kind) {
    const Eigen::VectorXf targets = UniformRanks(rows.accuracies.col(kind)).cast<float>();
    engines_.emplace_back();
    for (int m = 0; m < options.members; ++m) {
      const auto index = static_cast<std::uint64_t>(kind * options.members + m);
      engines_.back().emplace_back(
          TrainPerceptron(features, {targets.data(), count}, options.training, nullptr,
                          RandomStream(context.root_seed, "source_member", index), context));
      context.progress->Progress("train on cheap measurements",
                                 static_cast<std::int64_t>(index) + 1,
                                 rows.accuracies.cols() * options.members);
    }
  }
  const MatrixXd hidden = RunNetworks(view.Slice(0, std::min(count, kComponentRows))).hidden;
  hidden_mean_ = hidden.colwise().mean();
  const MatrixXd centered = hidden.rowwise() - hidden_mean_;
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(centered.transpose() * centered /
                                                       static_cast<double>(hidden.rows()));
  // Eigenvalues ascend.
  const double largest = std::sqrt(std::max(solver.eigenvalues().tail(1)[0], 1e-12));
  components_ =
      solver.eigenvectors().rightCols(std::min<Index>(options.embedding, hidden.cols())) / largest;
}

SourceModel::Raw SourceModel::RunNetworks(const GenomeView& genomes) const {
  const auto rows = static_cast<Index>(genomes.rows);
  Index width = 0;
  for (const auto& members : engines_) {
    width += static_cast<Index>(members.front().last_hidden_width());
  }
  Raw raw{MatrixXd::Zero(rows, static_cast<Index>(engines_.size())), MatrixXd(rows, width)};
  PerceptronScratch scratch;
  float outputs[PerceptronEngine::kBlockRows];
  std::vector<float> block;
  for (std::size_t first = 0; first < genomes.rows; first += PerceptronEngine::kBlockRows) {
    const std::size_t count = std::min(PerceptronEngine::kBlockRows, genomes.rows - first);
    GatherFeatures(encoding_, genomes.Slice(first, count), scratch);
    const auto at = static_cast<Index>(first);
    const auto its = static_cast<Index>(count);
    Index column = 0;
    for (std::size_t kind = 0; kind < engines_.size(); ++kind) {
      const auto units = static_cast<Index>(engines_[kind].front().last_hidden_width());
      for (std::size_t m = 0; m < engines_[kind].size(); ++m) {
        block.resize(count * static_cast<std::size_t>(units));
        engines_[kind][m].Run(count, scratch, outputs, block.data());
        raw.ranks.col(static_cast<Index>(kind)).segment(at, its) +=
            Eigen::Map<const Eigen::VectorXf>(outputs, its).cast<double>() /
            static_cast<double>(engines_[kind].size());
        if (m > 0) continue;
        raw.hidden.block(at, column, its, units) =
            Eigen::Map<const RowMatrixXf>(block.data(), its, units).cast<double>();
      }
      column += units;
    }
  }
  return raw;
}

SourceModel::Output SourceModel::Run(const GenomeView& genomes) const {
  Raw raw = RunNetworks(genomes);
  return {std::move(raw.ranks), (raw.hidden.rowwise() - hidden_mean_) * components_};
}

}  // namespace bitsearch
