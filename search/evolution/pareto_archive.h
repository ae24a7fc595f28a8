#pragma once
// ParetoArchive: the non-dominated candidates seen so far, in accuracy and any number of costs.
// And NSGA-II's ranking (Deb et al., 2002). Numbers only.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bitsearch {

/// A point: accuracy is better when higher, each cost when lower.
struct ParetoPoint {
  double accuracy = 0.0;
  std::vector<std::int64_t> costs;
  std::size_t tag = 0;  ///< The caller's index.
};

/// True if `a` is no worse than `b` in everything and better in something.
bool Dominates(const ParetoPoint& a, const ParetoPoint& b);

/// Keeps exactly the non-dominated of all points offered; of equal points, the first.
class ParetoArchive {
 public:
  /// True if the point was kept; points that it dominates leave. Linear in the archive's size.
  bool Offer(ParetoPoint point);
  const std::vector<ParetoPoint>& points() const { return points_; }

 private:
  std::vector<ParetoPoint> points_;
};

/// Indices of `points` from best to worst by NSGA-II: by front, then by crowding distance (farther
/// first), then by index. Quadratic in the number of points.
std::vector<std::size_t> RankByDominance(std::span<const ParetoPoint> points);

}  // namespace bitsearch
