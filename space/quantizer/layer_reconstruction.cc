#include "space/quantizer/layer_reconstruction.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "space/quantizer/weight_runs.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

// Of the mean diagonal: what makes the moments of few samples invertible.
constexpr double kPlaneDamping = 0.01;
constexpr double kStepDamping = 1e-6;
constexpr int kMostSweeps = 20;

using Matrix = Eigen::MatrixXd;  // symmetric ones: the order of storage does not matter

Matrix MomentsOf(const std::vector<float>& values, Eigen::Index size) {
  return Eigen::Map<const Eigen::MatrixXf>(values.data(), size, size).cast<double>();
}

Matrix Damped(const Matrix& moments, double damping) {
  Matrix damped = moments;
  damped.diagonal().array() += damping * moments.diagonal().mean();
  return damped;
}

double ErrorOf(const Matrix& moments, const Eigen::VectorXd& difference) {
  return difference.dot(moments * difference);
}

// One output channel: its weights, and what each may become.
struct Row {
  std::span<const float> weight;
  std::vector<const AffineGrid*> grids;  ///< By element.

  double Nearest(Eigen::Index k, double wanted) const {
    const AffineGrid& grid = *grids[static_cast<std::size_t>(k)];
    const double steps = std::nearbyint(wanted / static_cast<double>(grid.scale));
    return std::clamp(steps, static_cast<double>(grid.qmin - grid.zero_point),
                      static_cast<double>(grid.qmax - grid.zero_point)) *
           static_cast<double>(grid.scale);
  }
};

// Rounds from the last element to the first; each makes up for what those behind it leave.
Eigen::VectorXd NearestPlane(const Row& row, const Matrix& factor) {
  const auto size = static_cast<Eigen::Index>(row.weight.size());
  Eigen::VectorXd difference = Eigen::VectorXd::Zero(size);
  for (Eigen::Index k = size - 1; k >= 0; --k) {
    const Eigen::Index rest = size - 1 - k;
    const double left = factor.col(k).tail(rest).dot(difference.tail(rest)) / factor(k, k);
    const double weight = static_cast<double>(row.weight[static_cast<std::size_t>(k)]);
    difference[k] = row.Nearest(k, weight - left) - weight;
  }
  return difference;
}

// The best value of each element, the others as they are, until nothing changes.
void StepByCoordinates(const Row& row, const Matrix& moments, Eigen::VectorXd& difference) {
  Eigen::VectorXd gradient = moments * difference;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    bool changed = false;
    for (Eigen::Index k = 0; k < difference.size(); ++k) {
      const double weight = static_cast<double>(row.weight[static_cast<std::size_t>(k)]);
      const double best =
          row.Nearest(k, weight + difference[k] - gradient[k] / moments(k, k)) - weight;
      const double step = best - difference[k];
      // Rounding noise of the same level is no step.
      if (std::fabs(step) <
          0.5 * static_cast<double>(row.grids[static_cast<std::size_t>(k)]->scale)) {
        continue;
      }
      gradient += step * moments.col(k);
      difference[k] = best;
      changed = true;
    }
    if (!changed) return;
  }
}

std::size_t GroupOf(std::size_t channel, std::size_t channels, const InputMoments& moments) {
  return channel * moments.by_group.size() / channels;
}

void RequireFit(const Shape& shape, int channel_axis, const InputMoments& moments) {
  if (ChannelSize(shape, channel_axis) == moments.inputs && !moments.by_group.empty()) return;
  throw Error(ErrorId::kInternal, "moments of other inputs than the weight's");
}

}  // namespace

double ReconstructionError(std::span<const float> weight, std::span<const float> quantized,
                           const Shape& shape, int channel_axis, const InputMoments& moments) {
  RequireFit(shape, channel_axis, moments);
  const Gathered before = GatherByChannel(weight, shape, channel_axis);
  const Gathered after = GatherByChannel(quantized, shape, channel_axis);
  const auto size = static_cast<std::size_t>(moments.inputs);
  const std::size_t channels = before.values.size() / size;
  double error = 0.0;
  for (std::size_t c = 0; c < channels; ++c) {
    Eigen::VectorXd difference(moments.inputs);
    for (std::size_t k = 0; k < size; ++k) {
      difference[static_cast<Eigen::Index>(k)] =
          static_cast<double>(after.values[c * size + k]) - before.values[c * size + k];
    }
    error += ErrorOf(MomentsOf(moments.by_group[GroupOf(c, channels, moments)], moments.inputs),
                     difference);
  }
  return error;
}

std::vector<float> CompensatingWeight(std::span<const float> weight, const Shape& shape,
                                      int channel_axis, const InputMoments& quantized,
                                      const InputMoments& cross) {
  RequireFit(shape, channel_axis, quantized);
  Gathered gathered = GatherByChannel(weight, shape, channel_axis);
  const Eigen::Index size = quantized.inputs;
  const std::size_t groups = quantized.by_group.size();
  const std::size_t channels = gathered.values.size() / static_cast<std::size_t>(size);
  for (std::size_t group = 0; group < groups; ++group) {
    const Matrix plain = MomentsOf(quantized.by_group[group], size);
    const double damping = kPlaneDamping * plain.diagonal().mean();
    const Eigen::LLT<Matrix> cholesky(Damped(plain, kPlaneDamping));
    if (!(damping > 0.0) || cholesky.info() != Eigen::Success) continue;
    // Row-major E[x x̂ᵀ] read by columns is E[x̂ xᵀ].
    Matrix crossed = MomentsOf(cross.by_group[group], size);
    crossed.diagonal().array() += damping;
    const std::size_t first = group * channels / groups;
    const auto count = static_cast<Eigen::Index>((group + 1) * channels / groups - first);
    Eigen::Map<Eigen::MatrixXf> rows(
        gathered.values.data() + first * static_cast<std::size_t>(size), size, count);
    const Matrix solved = cholesky.solve(crossed * rows.cast<double>());
    rows = solved.cast<float>();
  }
  return Scattered(gathered);
}

void ReconstructLayer(std::span<const float> weight, const Shape& shape, int channel_axis,
                      const WeightQuantizerSpec& spec, const InputMoments& moments,
                      QuantizedWeight& quantized) {
  RequireFit(shape, channel_axis, moments);
  const Gathered before = GatherByChannel(weight, shape, channel_axis);
  Gathered after = GatherByChannel(quantized.values, shape, channel_axis);
  std::vector<const AffineGrid*> grids;
  const std::vector<std::size_t> runs = RunsOf(quantized.grids, shape, channel_axis, spec);
  for (std::size_t run = 0; run < runs.size(); ++run) {
    grids.insert(grids.end(), runs[run], &quantized.grids[run]);
  }
  const auto size = static_cast<std::size_t>(moments.inputs);
  const std::size_t channels = before.values.size() / size;
  const std::size_t groups = moments.by_group.size();
  for (std::size_t group = 0; group < groups; ++group) {
    const Matrix plain = MomentsOf(moments.by_group[group], moments.inputs);
    if (!(plain.diagonal().mean() > 0.0)) continue;  // its inputs are always 0
    const Eigen::LLT<Matrix> cholesky(Damped(plain, kPlaneDamping));
    if (cholesky.info() != Eigen::Success) continue;
    const Matrix factor = cholesky.matrixL();
    const Matrix stepping = Damped(plain, kStepDamping);
    for (std::size_t c = group * channels / groups; c < (group + 1) * channels / groups; ++c) {
      const std::size_t start = c * size;
      Row row{std::span(before.values).subspan(start, size), {}};
      const auto first = grids.begin() + static_cast<std::ptrdiff_t>(start);
      row.grids.assign(first, first + static_cast<std::ptrdiff_t>(size));
      Eigen::VectorXd was(moments.inputs);
      for (std::size_t k = 0; k < size; ++k) {
        was[static_cast<Eigen::Index>(k)] =
            static_cast<double>(after.values[start + k]) - row.weight[k];
      }
      Eigen::VectorXd found = NearestPlane(row, factor);
      StepByCoordinates(row, stepping, found);
      Eigen::VectorXd other = was;
      StepByCoordinates(row, stepping, other);
      if (ErrorOf(plain, other) < ErrorOf(plain, found)) found = other;
      if (ErrorOf(plain, found) >= ErrorOf(plain, was)) continue;
      for (std::size_t k = 0; k < size; ++k) {
        const float scale = row.grids[k]->scale;
        const double value = row.weight[k] + found[static_cast<Eigen::Index>(k)];
        after.values[start + k] =
            static_cast<float>(std::nearbyint(value / static_cast<double>(scale))) * scale;
      }
    }
  }
  quantized.values = Scattered(after);
  quantized.squared_error = 0.0;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const double difference = static_cast<double>(weight[i]) - quantized.values[i];
    quantized.squared_error += difference * difference;
  }
}

}  // namespace bitsearch
