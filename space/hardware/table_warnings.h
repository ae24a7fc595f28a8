#pragma once
// What is suspicious about a latency table: bits that buy no time, differences drowned in noise.
// A search by bits or BOPs would be misled exactly there.

#include <string>
#include <vector>

#include "space/hardware/latency_table.h"

namespace bitsearch {

/// How two choices of a table compare, over the layers that hold both. `low` has fewer bits than
/// `high` in weights or activations and more in neither.
struct ChoiceComparison {
  BitChoice low;
  BitChoice high;
  int layers = 0;
  int not_faster = 0;       ///< Layers where `low` takes as long as `high` or longer.
  int within_noise = 0;     ///< Layers where the two differ by less than twice the noise.
  std::int64_t low_ns = 0;  ///< Sums over the layers.
  std::int64_t high_ns = 0;
};

/// All pairs of choices with no third choice between them, in order of their bits.
std::vector<ChoiceComparison> CompareChoices(const LatencyTable& table);

/// One line each: for pairs where lower bits are not faster in more than half of the layers; for
/// pairs where more than half of the differences are within noise; if nothing in the table is
/// faster than its most precise choice. Empty for a sound table.
std::vector<std::string> TableWarnings(const LatencyTable& table);

}  // namespace bitsearch
