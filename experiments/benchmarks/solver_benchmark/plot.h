#pragma once
// A small line plot with logarithmic axes, as SVG text.

#include <string>
#include <vector>

namespace bitsearch {

struct PlotPoint {
  double x = 0.0;
  double y = 0.0;
};
struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  ///< x ascending, all positive.
};

/// Writes the plot to `path`. Throws Error(kFileWrite).
void WritePlot(const std::string& path, const std::string& title, const std::string& x_name,
               const std::string& y_name, const std::vector<PlotSeries>& series);

}  // namespace bitsearch
