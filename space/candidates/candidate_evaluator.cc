// Adapters between evaluators of configurations and of candidates.
#include "space/candidates/candidate_evaluator.h"

#include <limits>

namespace bitsearch {

BitConfigCandidateEvaluator::BitConfigCandidateEvaluator(const CandidateSpace& space,
                                                         Evaluator& evaluator)
    : space_(space), evaluator_(evaluator) {}

void BitConfigCandidateEvaluator::Evaluate(const GenomeView& genomes,
                                           std::span<CandidateScore> scores) {
  std::vector<BitConfig> configs;
  configs.reserve(genomes.rows);
  for (std::size_t r = 0; r < genomes.rows; ++r) {
    configs.push_back(space_.ToBitConfig(genomes.row(r)));
  }
  const std::vector<Evaluation> results = evaluator_.Evaluate(configs);
  for (std::size_t r = 0; r < results.size(); ++r) {
    scores[r] = {results[r].top1_percent(), results[r].standard_deviation_percent.value_or(0.0)};
  }
}

std::vector<Evaluation> CandidateBitConfigEvaluator::Evaluate(std::span<const BitConfig> configs) {
  const std::size_t genes = evaluator_.space().size();
  std::vector<std::uint8_t> genomes;
  genomes.reserve(configs.size() * genes);
  for (const BitConfig& config : configs) {
    const std::vector<std::uint8_t> genome = evaluator_.space().FromBitConfig(config);
    genomes.insert(genomes.end(), genome.begin(), genome.end());
  }
  std::vector<CandidateScore> scores(configs.size());
  evaluator_.Evaluate({genomes.data(), configs.size(), genes}, scores);
  std::vector<Evaluation> results(configs.size());
  for (std::size_t r = 0; r < results.size(); ++r) {
    results[r].kl_nats = std::numeric_limits<double>::quiet_NaN();
    results[r].predicted_top1_percent = scores[r].top1_percent;
    if (scores[r].standard_deviation_percent > 0.0) {
      results[r].standard_deviation_percent = scores[r].standard_deviation_percent;
    }
  }
  return results;
}

}  // namespace bitsearch
