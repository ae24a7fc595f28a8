#include "search/supernet/distribution_diagnostics.h"

#include <algorithm>
#include <cmath>

namespace bitsearch {
namespace {

constexpr double kFlat = 0.98;

int BitsOf(const ChoiceGroup& group, std::size_t candidate) {
  const BitChoice& choice = group.candidates[candidate];
  switch (group.kind) {
    case ChoiceGroup::Kind::kWeight:
      return choice.weight.bits();
    case ChoiceGroup::Kind::kActivation:
      return choice.activation.bits();
    case ChoiceGroup::Kind::kBoth:
      break;
  }
  return choice.weight.bits() * choice.activation.bits();
}

}  // namespace

DistributionFigures FiguresOf(const std::vector<double>& probabilities) {
  DistributionFigures figures;
  double second = 0.0;
  for (std::size_t k = 0; k < probabilities.size(); ++k) {
    const double p = probabilities[k];
    if (p > 0.0) figures.entropy_nats -= p * std::log(p);
    if (k == 0) continue;
    if (p > probabilities[figures.argmax]) {
      second = probabilities[figures.argmax];
      figures.argmax = k;
    } else {
      second = std::max(second, p);
    }
  }
  if (probabilities.size() > 1) {
    figures.margin = probabilities[figures.argmax] - second;
    figures.relative_entropy =
        figures.entropy_nats / std::log(static_cast<double>(probabilities.size()));
  }
  return figures;
}

std::vector<DistributionFigures> FiguresOf(const std::vector<std::vector<double>>& probabilities) {
  std::vector<DistributionFigures> figures;
  for (const auto& one : probabilities) figures.push_back(FiguresOf(one));
  return figures;
}

std::vector<std::string> DistributionWarnings(const ArchitectureSpace& space,
                                              const std::vector<DistributionFigures>& figures) {
  std::size_t open = 0;
  std::size_t cheapest = 0;
  std::size_t dearest = 0;
  std::size_t flat = 0;
  for (std::size_t g = 0; g < space.groups.size(); ++g) {
    const ChoiceGroup& group = space.groups[g];
    if (group.candidates.size() < 2) continue;
    ++open;
    std::vector<int> bits;
    for (std::size_t k = 0; k < group.candidates.size(); ++k) bits.push_back(BitsOf(group, k));
    const int chosen = bits[figures[g].argmax];
    cheapest += chosen == *std::min_element(bits.begin(), bits.end()) ? 1 : 0;
    dearest += chosen == *std::max_element(bits.begin(), bits.end()) ? 1 : 0;
    flat += figures[g].relative_entropy > kFlat ? 1 : 0;
  }
  std::vector<std::string> warnings;
  if (open < 2) return warnings;
  if (10 * flat >= 9 * open) {
    warnings.push_back(std::to_string(flat) + " of " + std::to_string(open) +
                       " distributions are nearly flat: the search has learned nothing; raise the "
                       "learning rate of the architecture or the number of epochs");
    return warnings;
  }
  if (cheapest == open) {
    warnings.push_back("all " + std::to_string(open) +
                       " distributions prefer their cheapest candidate: the supernet has "
                       "collapsed; lower the weight of the cost");
  }
  if (dearest == open) {
    warnings.push_back("all " + std::to_string(open) +
                       " distributions prefer their dearest candidate: the supernet has "
                       "collapsed; raise the weight of the cost");
  }
  return warnings;
}

}  // namespace bitsearch
