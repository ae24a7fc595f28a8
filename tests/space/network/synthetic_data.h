#pragma once
// A small data set that a network can learn: each class is a bright square at its own place.

#include <cstdint>
#include <vector>

#include "space/network/dataset.h"
#include "space/support/random.h"

namespace bitsearch {

inline Dataset SyntheticDataset(std::int64_t count, std::uint64_t seed, std::int64_t channels = 1,
                                std::int64_t size = 8) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;
  RandomStream random(seed, "synthetic");
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int64_t>(random.Below(4));
    labels.push_back(static_cast<std::uint8_t>(label));
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t y = 0; y < size; ++y) {
        for (std::int64_t x = 0; x < size; ++x) {
          const bool bright = (y < size / 2) == (label / 2 == 0) && (x < size / 2) == (label % 2 == 0);
          pixels.push_back(static_cast<std::uint8_t>(random.Below(96) + (bright ? 128 : 0)));
        }
      }
    }
  }
  return Dataset(channels, size, size, 10, std::move(pixels), std::move(labels), {0.4F}, {0.25F});
}

}  // namespace bitsearch
