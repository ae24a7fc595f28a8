#pragma once
// BitConfig: one BitChoice per layer, the product of a search. A value with a canonical hash.

#include <string>
#include <vector>

#include "space/choices/bit_choice.h"

namespace bitsearch {

/// One choice per quantizable layer, in the layer order of its graph.
struct BitConfig {
  std::vector<BitChoice> choices;

  auto operator<=>(const BitConfig&) const = default;
  /// Canonical text, e.g. "4/8,3/8,fp32/fp32": equal texts are equal configurations.
  std::string Canonical() const;
  /// 64-bit FNV-1a of Canonical(), 16 hex digits.
  std::string Hash() const;
  static BitConfig Uniform(std::size_t layer_count, BitChoice choice);
};

}  // namespace bitsearch
