#include "experiments/benchmarks/ranking_study/ranking_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "space/support/random.h"
#include "space/support/statistics.h"

namespace bitsearch {
namespace {

constexpr std::size_t kBootstraps = 1000;
constexpr std::size_t kHalvings = 10;

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// Configurations of one band, drawn with repetition or not.
using Band = std::vector<std::size_t>;

double TauOf(const Band& band, const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> x;
  std::vector<double> y;
  for (const std::size_t i : band) {
    x.push_back(a[i]);
    y.push_back(b[i]);
  }
  return KendallTau(x, y);
}

double MeanTau(const std::vector<Band>& bands, const std::vector<double>& a,
               const std::vector<double>& b) {
  double sum = 0.0;
  for (const Band& band : bands) sum += TauOf(band, a, b) / static_cast<double>(bands.size());
  return sum;
}

class Comparison {
 public:
  Comparison(std::span<const MeasuredConfig> configs, std::uint64_t seed) {
    for (std::size_t i = 0; i < configs.size(); ++i) {
      if (bands_.size() <= configs[i].band) bands_.resize(configs[i].band + 1);
      bands_[configs[i].band].push_back(i);
    }
    for (std::size_t k = 0; k < kBootstraps; ++k) {
      RandomStream random(seed, "ranking bootstrap", k);
      std::vector<Band>& sample = samples_.emplace_back();
      for (const Band& band : bands_) {
        Band& drawn = sample.emplace_back();
        for (std::size_t i = 0; i < band.size(); ++i)
          drawn.push_back(band[random.Below(band.size())]);
      }
    }
  }

  // Of `statistic`, which is given bands.
  template <typename Statistic>
  TauEstimate Estimate(const Statistic& statistic) const {
    TauEstimate result;
    for (const Band& band : bands_) result.by_band.push_back(statistic({band}));
    result.mean = statistic(bands_);
    std::vector<double> drawn;
    for (const std::vector<Band>& sample : samples_) drawn.push_back(statistic(sample));
    std::sort(drawn.begin(), drawn.end());
    result.low = drawn[kBootstraps / 40];
    result.high = drawn[kBootstraps - 1 - kBootstraps / 40];
    return result;
  }

 private:
  std::vector<Band> bands_;
  std::vector<std::vector<Band>> samples_;
};

// [halving][half][configuration]: sums over half of the blocks.
using Halves = std::vector<std::array<std::vector<double>, 2>>;

Halves HalvesOf(std::span<const MeasuredConfig> configs, std::vector<double> BlockSums::*what,
                std::uint64_t seed) {
  Halves halves(kHalvings);
  for (std::size_t h = 0; h < kHalvings; ++h) {
    std::vector<std::size_t> order((configs[0].sums.*what).size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    RandomStream random(seed, "ranking halves", h);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
    for (const MeasuredConfig& config : configs) {
      std::array<double, 2> sums{};
      for (std::size_t i = 0; i < order.size(); ++i) {
        sums[i % 2] += (config.sums.*what)[order[i]];
      }
      halves[h][0].push_back(sums[0]);
      halves[h][1].push_back(sums[1]);
    }
  }
  return halves;
}

TauEstimate Ceiling(const Comparison& comparison, const Halves& halves) {
  return comparison.Estimate([&](const std::vector<Band>& bands) {
    double sum = 0.0;
    for (const auto& half : halves) sum += MeanTau(bands, half[0], half[1]);
    return sum / static_cast<double>(halves.size());
  });
}

std::string Text(const TauEstimate& tau) {
  return fmt::format("{:.2f} ({:.2f}, {:.2f})", tau.mean, tau.low, tau.high);
}

std::string BandsText(const TauEstimate& tau) {
  std::string text;
  for (const double value : tau.by_band)
    text += fmt::format("{}{:.2f}", text.empty() ? "" : ", ", value);
  return text;
}

}  // namespace

RankingTable CompareScores(std::span<const MeasuredConfig> configs,
                           std::span<const ScoreColumn> columns, std::span<const std::string> blind,
                           std::uint64_t seed) {
  const Comparison comparison(configs, seed);
  std::vector<double> loss;
  std::vector<double> kl;
  for (const MeasuredConfig& config : configs) {
    loss.push_back(Sum(config.sums.loss_nats));
    kl.push_back(Sum(config.sums.kl_nats));
  }
  const auto against = [&](const std::vector<double>& values, const std::vector<double>& measured) {
    return comparison.Estimate(
        [&](const std::vector<Band>& bands) { return MeanTau(bands, values, measured); });
  };
  RankingTable table;
  ScoreRow ceiling;
  ceiling.name = "ceiling";
  ceiling.loss = Ceiling(comparison, HalvesOf(configs, &BlockSums::loss_nats, seed));
  ceiling.kl = Ceiling(comparison, HalvesOf(configs, &BlockSums::kl_nats, seed));
  table.rows.push_back(ceiling);
  const ScoreColumn* reference = nullptr;
  double best = -2.0;
  for (const ScoreColumn& column : columns) {
    table.rows.push_back(
        {column.name, against(column.values, loss), against(column.values, kl), {}});
    const bool is_blind = std::find(blind.begin(), blind.end(), column.name) != blind.end();
    if (is_blind && table.rows.back().kl.mean > best) {
      best = table.rows.back().kl.mean;
      reference = &column;
    }
  }
  if (reference == nullptr) return table;
  table.reference = reference->name;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (&columns[c] == reference) continue;
    table.rows[c + 1].kl_difference = comparison.Estimate([&](const std::vector<Band>& bands) {
      return MeanTau(bands, columns[c].values, kl) - MeanTau(bands, reference->values, kl);
    });
  }
  return table;
}

std::string RankingMarkdown(const RankingTable& table) {
  std::string text = fmt::format(
      "| score | τ with KL | by band | less `{}` | τ with loss | by band "
      "|\n|---|---|---|---|---|---|\n",
      table.reference);
  for (const ScoreRow& row : table.rows) {
    text +=
        fmt::format("| {} | {} | {} | {} | {} | {} |\n", row.name, Text(row.kl), BandsText(row.kl),
                    row.kl_difference.by_band.empty() ? "" : Text(row.kl_difference),
                    Text(row.loss), BandsText(row.loss));
  }
  return text;
}

std::string RankingCsv(const RankingTable& table, const std::string& setting) {
  std::string text;
  for (const ScoreRow& row : table.rows) {
    for (const auto& [what, tau] : {std::pair("kl", &row.kl), std::pair("loss", &row.loss),
                                    std::pair("kl difference", &row.kl_difference)}) {
      if (tau->by_band.empty()) continue;
      text += fmt::format("{},\"{}\",{},{:.4f},{:.4f},{:.4f}\n", setting, row.name, what, tau->mean,
                          tau->low, tau->high);
    }
  }
  return text;
}

}  // namespace bitsearch
