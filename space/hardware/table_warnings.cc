// Comparing choices. See table_warnings.h.
#include "space/hardware/table_warnings.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace bitsearch {
namespace {

/// `a` has at most as many bits as `b` in both and fewer in one.
bool Below(BitChoice a, BitChoice b) {
  const bool within =
      a.weight.bits() <= b.weight.bits() && a.activation.bits() <= b.activation.bits();
  return within && (a.weight.bits() < b.weight.bits() || a.activation.bits() < b.activation.bits());
}

double NoiseOf(const LatencyEntry& entry) {
  if (!entry.stddev_ns) return 0.0;
  const auto samples = static_cast<double>(std::max<std::int64_t>(entry.samples, 1));
  return 1.2533 * static_cast<double>(*entry.stddev_ns) / std::sqrt(samples);
}

bool WithinNoise(const LatencyEntry& a, const LatencyEntry& b) {
  const double noise = std::hypot(NoiseOf(a), NoiseOf(b));
  return noise > 0.0 && std::abs(static_cast<double>(a.latency_ns - b.latency_ns)) < 2.0 * noise;
}

std::string Share(int part, int whole) {
  return std::to_string(part) + " of " + std::to_string(whole) + " layers";
}

}  // namespace

std::vector<ChoiceComparison> CompareChoices(const LatencyTable& table) {
  std::map<std::string, std::map<BitChoice, LatencyEntry>> layers;
  std::set<BitChoice> choices;
  for (const LatencyTable::Row& row : table.rows()) {
    if (row.choice.weight.kind() == NumberFormat::Kind::kSkip) continue;
    layers[row.key][row.choice] = row.entry;
    choices.insert(row.choice);
  }
  std::vector<ChoiceComparison> comparisons;
  for (const BitChoice high : choices) {
    for (const BitChoice low : choices) {
      if (!Below(low, high)) continue;
      const bool between = std::any_of(choices.begin(), choices.end(), [&](BitChoice c) {
        return Below(low, c) && Below(c, high);
      });
      if (between) continue;
      ChoiceComparison comparison{.low = low, .high = high};
      for (const auto& [layer, entries] : layers) {
        const auto a = entries.find(low);
        const auto b = entries.find(high);
        if (a == entries.end() || b == entries.end()) continue;
        ++comparison.layers;
        comparison.not_faster += a->second.latency_ns >= b->second.latency_ns;
        comparison.within_noise += WithinNoise(a->second, b->second);
        comparison.low_ns += a->second.latency_ns;
        comparison.high_ns += b->second.latency_ns;
      }
      if (comparison.layers > 0) comparisons.push_back(comparison);
    }
  }
  return comparisons;
}

std::vector<std::string> TableWarnings(const LatencyTable& table) {
  std::vector<std::string> warnings;
  for (const ChoiceComparison& pair : CompareChoices(table)) {
    const std::string names = pair.low.ToString() + " against " + pair.high.ToString();
    if (2 * pair.not_faster > pair.layers) {
      warnings.push_back(names + ": lower bits are NOT faster in " +
                         Share(pair.not_faster, pair.layers) +
                         "; a search by bits or BOPs would choose wrongly here");
    } else if (2 * pair.within_noise > pair.layers) {
      warnings.push_back(names + ": the difference is within the noise in " +
                         Share(pair.within_noise, pair.layers) + "; measure with more repetitions");
    }
  }
  int with_choice = 0;
  int without_gain = 0;
  for (const std::string& key : table.keys()) {
    const std::vector<BitChoice> choices = table.ChoicesOf({key, ""});
    if (choices.size() < 2) continue;
    const BitChoice widest =
        *std::max_element(choices.begin(), choices.end(), [](BitChoice a, BitChoice b) {
          return a.weight.bits() + a.activation.bits() < b.weight.bits() + b.activation.bits();
        });
    ++with_choice;
    const bool gain = std::any_of(choices.begin(), choices.end(), [&](BitChoice c) {
      return table.Find(key, c)->latency_ns < table.Find(key, widest)->latency_ns;
    });
    without_gain += !gain;
  }
  if (with_choice > 0 && 2 * without_gain > with_choice) {
    warnings.push_back("no choice is faster than the most precise one in " +
                       Share(without_gain, with_choice) +
                       ": on this device lower bits buy no time");
  }
  return warnings;
}

}  // namespace bitsearch
