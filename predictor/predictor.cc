// Ensembles over perceptron engines, block by block.
#include "predictor/predictor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "space/support/error.h"

namespace bitsearch {
namespace {

// Below this a thread costs more than it saves (about a millisecond of work).
constexpr std::size_t kLeastRowsPerThread = 96;

}  // namespace

void PredictorModel::Validate() const {
  if (members.empty()) throw Error(ErrorId::kPredictorModel, "a predictor needs a network");
  for (const Perceptron& member : members) member.Validate(encoding);
  if (!std::isfinite(output_offset_percent) || !std::isfinite(output_scale_percent) ||
      !(residual_deviation_percent >= 0.0)) {
    throw Error(ErrorId::kPredictorModel, "offset, scale and residual deviation must be finite")
        .Key("output");
  }
  if (!trained_values.empty() && trained_values.size() != encoding.space().size()) {
    throw Error(ErrorId::kPredictorModel,
                fmt::format("training range of {} genes, the space has {}", trained_values.size(),
                            encoding.space().size()))
        .Key("training.range");
  }
}

Predictor::Predictor(PredictorModel model, PredictorOptions options)
    : model_(std::move(model)), options_(options) {
  model_.Validate();
  for (const Perceptron& member : model_.members) engines_.emplace_back(member);
}

Predictor::~Predictor() = default;

void Predictor::PredictRange(const GenomeView& genomes, std::span<CandidateScore> scores) const {
  PerceptronScratch scratch;
  float outputs[PerceptronEngine::kBlockRows];
  const auto members = static_cast<double>(engines_.size());
  for (std::size_t first = 0; first < genomes.rows; first += PerceptronEngine::kBlockRows) {
    const std::size_t rows = std::min(PerceptronEngine::kBlockRows, genomes.rows - first);
    GatherFeatures(model_.encoding, genomes.Slice(first, rows), scratch);
    double sum[PerceptronEngine::kBlockRows] = {};
    double squares[PerceptronEngine::kBlockRows] = {};
    for (const PerceptronEngine& engine : engines_) {
      engine.Run(rows, scratch, outputs);
      for (std::size_t r = 0; r < rows; ++r) {
        const double value = model_.output_offset_percent +
                             model_.output_scale_percent * static_cast<double>(outputs[r]);
        sum[r] += value;
        squares[r] += value * value;
      }
    }
    const double residual = model_.residual_deviation_percent * model_.residual_deviation_percent;
    for (std::size_t r = 0; r < rows; ++r) {
      const double mean = sum[r] / members;
      const double spread =
          engines_.size() > 1
              ? std::max(0.0, (squares[r] - members * mean * mean) / (members - 1.0))
              : 0.0;
      scores[first + r] = {mean, std::sqrt(spread + residual)};
    }
  }
}

void Predictor::Predict(const GenomeView& genomes, std::span<CandidateScore> scores) const {
  predicted_rows_.fetch_add(genomes.rows, std::memory_order_relaxed);
  const std::size_t threads =
      std::clamp<std::size_t>(genomes.rows / kLeastRowsPerThread, 1,
                              static_cast<std::size_t>(std::max(1, options_.threads)));
  if (threads == 1) {
    PredictRange(genomes, scores);
    return;
  }
  const std::size_t share = (genomes.rows + threads - 1) / threads;
  std::vector<std::jthread> workers;
  for (std::size_t t = 1; t < threads; ++t) {
    const std::size_t first = std::min(genomes.rows, t * share);
    const std::size_t count = std::min(share, genomes.rows - first);
    workers.emplace_back([this, &genomes, scores, first, count] {
      PredictRange(genomes.Slice(first, count), scores.subspan(first, count));
    });
  }
  PredictRange(genomes.Slice(0, share), scores.first(share));
}

void Predictor::Evaluate(const GenomeView& genomes, std::span<CandidateScore> scores) {
  Predict(genomes, scores);
}

std::size_t Predictor::feature_count() const {
  std::size_t count = 0;
  for (const PerceptronEngine& engine : engines_) count += engine.last_hidden_width();
  return count;
}

void Predictor::LastHidden(const GenomeView& genomes, std::vector<float>& features) const {
  PerceptronScratch scratch;
  float outputs[PerceptronEngine::kBlockRows];
  std::vector<float> block;
  const std::size_t width = feature_count();
  const std::size_t before = features.size();
  features.resize(before + genomes.rows * width);
  for (std::size_t first = 0; first < genomes.rows; first += PerceptronEngine::kBlockRows) {
    const std::size_t rows = std::min(PerceptronEngine::kBlockRows, genomes.rows - first);
    GatherFeatures(model_.encoding, genomes.Slice(first, rows), scratch);
    std::size_t column = 0;
    for (const PerceptronEngine& engine : engines_) {
      const std::size_t units = engine.last_hidden_width();
      block.resize(rows * units);
      engine.Run(rows, scratch, outputs, block.data());
      for (std::size_t r = 0; r < rows; ++r) {
        std::copy_n(block.data() + r * units, units,
                    features.data() + before + (first + r) * width + column);
      }
      column += units;
    }
  }
}

bool Predictor::OutsideTrainingRange(std::span<const std::uint8_t> genome) const {
  if (model_.trained_values.empty()) return false;
  std::vector<std::uint8_t> active(genome.size());
  space().Activity(genome, active);
  for (std::size_t g = 0; g < genome.size(); ++g) {
    if (active[g] != 0 && (model_.trained_values[g] >> genome[g] & 1) == 0) return true;
  }
  return false;
}

}  // namespace bitsearch
