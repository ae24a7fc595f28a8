// Sums of table entries over genes.
#include "space/candidates/factored_cost.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr int kMaxDecimals = 12;
// Half of what would reach kForbidden, so that a sum of forbidden terms cannot wrap around either.
constexpr double kMaxSum = 1e18;

}  // namespace

FactoredCost::FactoredCost(const CandidateSpace& space, std::string name, int decimals,
                           std::int64_t fixed_grid_units, std::vector<CostTerm> terms)
    : name_(std::move(name)),
      decimals_(decimals),
      fixed_(fixed_grid_units),
      terms_(std::move(terms)),
      space_(space) {
  const auto refuse = [this](std::size_t term, const std::string& what) {
    throw Error(ErrorId::kCandidateCost, what)
        .Key(fmt::format("{}.terms[{}]", name_, term))
        .Hint("correct the cost table; it must fit the space");
  };
  if (decimals_ < 0 || decimals_ > kMaxDecimals) {
    throw Error(ErrorId::kCandidateCost,
                fmt::format("got {} decimals, allowed 0 to {}", decimals_, kMaxDecimals))
        .Key(name_);
  }
  if (fixed_ < 0) throw Error(ErrorId::kCandidateCost, "fixed part is negative").Key(name_);
  double most = static_cast<double>(fixed_);
  for (std::size_t t = 0; t < terms_.size(); ++t) {
    const CostTerm& term = terms_[t];
    FlatTerm flat;
    flat.first_gene = static_cast<std::uint32_t>(flat_genes_.size());
    flat.gene_count = static_cast<std::uint32_t>(term.genes.size());
    flat.gate = term.gate;
    flat.first_value = static_cast<std::uint32_t>(flat_values_.size());
    if (term.gate != kNoGene && term.gate >= space.size()) refuse(t, "its gate is no gene");
    std::size_t count = 1;
    for (const GeneIndex gene : term.genes) {
      if (gene >= space.size()) refuse(t, fmt::format("gene {} does not exist", gene));
      count *= static_cast<std::size_t>(space.cardinality(gene));
      if (count > 10'000'000) refuse(t, "a table of more than 10,000,000 values");
    }
    if (count != term.values.size()) {
      refuse(t, fmt::format("got {} values, its genes need {}", term.values.size(), count));
    }
    auto stride = static_cast<std::uint32_t>(count);
    for (const GeneIndex gene : term.genes) {
      stride /= static_cast<std::uint32_t>(space.cardinality(gene));
      flat_genes_.emplace_back(gene, stride);
    }
    std::int64_t largest = 0;
    for (const std::int64_t value : term.values) {
      if (value < 0) refuse(t, fmt::format("got {}, allowed at least 0", value));
      if (value > largest && value < kForbidden) largest = value;
      flat_values_.push_back(value < kForbidden ? value : kForbidden);
    }
    most += static_cast<double>(largest);
    flat_terms_.push_back(flat);
  }
  if (most > kMaxSum) {
    throw Error(ErrorId::kCandidateCost, fmt::format("sums reach {:.3g} grid units, at most {:.0g}",
                                                     most, kMaxSum))
        .Key(name_)
        .Hint("use fewer decimals");
  }
}

std::int64_t FactoredCost::RoundToGrid(double value, int decimals) {
  const double scaled = value * std::pow(10.0, decimals);
  if (!(std::abs(scaled) < kMaxSum)) {
    throw Error(ErrorId::kCandidateCost, fmt::format("got {}, which is out of range", value));
  }
  return std::llround(scaled);
}

std::int64_t FactoredCost::ToGrid(double value) const { return RoundToGrid(value, decimals_); }

std::int64_t FactoredCost::LimitToGrid(double value) const {
  const double scaled = value * std::pow(10.0, decimals_);
  if (!(std::abs(scaled) < kMaxSum)) {
    throw Error(ErrorId::kCandidateCost, fmt::format("limit {} is out of range", value)).Key(name_);
  }
  return static_cast<std::int64_t>(std::floor(scaled + 1e-6));
}

double FactoredCost::FromGrid(std::int64_t grid_units) const {
  return static_cast<double>(grid_units) / std::pow(10.0, decimals_);
}

std::int64_t FactoredCost::EvaluateActive(const std::uint8_t* genome,
                                          const std::uint8_t* active) const {
  std::int64_t sum = fixed_;
  const auto* genes = flat_genes_.data();
  for (const FlatTerm& term : flat_terms_) {
    if (term.gate != kNoGene && active[term.gate] == 0) continue;
    std::uint32_t index = term.first_value;
    for (std::uint32_t k = 0; k < term.gene_count; ++k) {
      const auto& [gene, stride] = genes[term.first_gene + k];
      index += genome[gene] * stride;
    }
    sum += flat_values_[index];
    if (sum >= kForbidden) sum = kForbidden;
  }
  return sum;
}

void FactoredCost::Evaluate(const GenomeView& genomes, std::span<std::int64_t> costs) const {
  std::vector<std::uint8_t> active(genomes.genes);
  for (std::size_t r = 0; r < genomes.rows; ++r) {
    space_.Activity(genomes.row(r), active);
    costs[r] = EvaluateActive(genomes.data + r * genomes.genes, active.data());
  }
}

}  // namespace bitsearch
