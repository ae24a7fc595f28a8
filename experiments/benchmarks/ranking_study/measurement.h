#pragma once
// What configurations really lose, in blocks of records, so that halves of the records can be
// compared with each other afterwards. Torch-free header.

#include <optional>
#include <string>
#include <vector>

#include "space/choices/bit_config.h"
#include "space/network/dataset.h"
#include "space/quantizer/quantized_network.h"

namespace bitsearch {

/// Records of a block: those of the shared CIFAR-10 files are balanced over the classes.
inline constexpr std::int64_t kBlockRecords = 100;

/// Sums over the records of each block, in order.
struct BlockSums {
  std::vector<double> loss_nats;
  std::vector<double> kl_nats;
  std::vector<double> correct;

  /// Numbers with blanks between; and back, nothing for other text.
  std::string ToText() const;
  static std::optional<BlockSums> FromText(const std::string& text);
};

/// Runs configurations on `data`, which must outlive it, one thread.
class BlockMeasurement {
 public:
  BlockMeasurement(const CalibratedNetwork& network, const Dataset& data);
  ~BlockMeasurement();
  BlockSums Measure(const BitConfig& config) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bitsearch
