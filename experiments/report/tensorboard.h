#pragma once
// Event files that TensorBoard reads: a run's curves as scalars. TensorFlow's record format and
// protocol buffers are written by hand; no TensorFlow is needed.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/report/report.h"

namespace bitsearch {

/// One value of a curve.
struct Scalar {
  std::string tag;
  std::int64_t step = 0;
  double value = 0.0;
};

/// An event file's content: the version event, then one event per scalar, in order. `wall_time` (in
/// seconds since 1970) is that of all events.
std::string EventFile(const std::vector<Scalar>& scalars, double wall_time);

/// A report's curves: measured candidates, result lines, sensitivities and bits by layer, and what
/// a search learned epoch by epoch.
std::vector<Scalar> ReportScalars(const ReportData& data);

/// CRC-32C (Castagnoli) of the bytes.
std::uint32_t Crc32c(std::string_view bytes);

}  // namespace bitsearch
