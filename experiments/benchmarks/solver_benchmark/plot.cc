// Axes at powers of ten, one colour and one label per line.
#include "experiments/benchmarks/solver_benchmark/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr double kWidth = 560.0;
constexpr double kHeight = 340.0;
constexpr double kLeft = 70.0;
constexpr double kRight = 130.0;
constexpr double kTop = 36.0;
constexpr double kBottom = 48.0;

/// A logarithmic axis from one power of ten to another.
struct Axis {
  double from = 1e300;
  double to = -1e300;
  double start = 0.0;
  double length = 0.0;

  void Cover(double value) {
    from = std::min(from, std::floor(std::log10(value)));
    to = std::max(to, std::ceil(std::log10(value)));
  }
  double At(double value) const {
    return start + length * (std::log10(value) - from) / std::max(1.0, to - from);
  }
};

}  // namespace

void WritePlot(const std::string& path, const std::string& title, const std::string& x_name,
               const std::string& y_name, const std::vector<PlotSeries>& series) {
  constexpr const char* kColours[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd"};
  Axis x{.start = kLeft, .length = kWidth - kLeft - kRight};
  Axis y{.start = kHeight - kBottom, .length = -(kHeight - kTop - kBottom)};
  for (const PlotSeries& line : series) {
    for (const PlotPoint& point : line.points) {
      x.Cover(point.x);
      y.Cover(point.y);
    }
  }
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n"
      "<text x=\"{2}\" y=\"20\" font-size=\"14\">{3}</text>\n",
      kWidth, kHeight, kLeft, title);
  for (double power = x.from; power <= x.to; ++power) {
    const double at = x.At(std::pow(10.0, power));
    svg += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\" stroke=\"#ddd\"/>\n"
        "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>\n",
        at, kTop, kHeight - kBottom, kHeight - kBottom + 16, std::pow(10.0, power));
  }
  for (double power = y.from; power <= y.to; ++power) {
    const double at = y.At(std::pow(10.0, power));
    svg += fmt::format(
        "<line x1=\"{0}\" y1=\"{1:.1f}\" x2=\"{2}\" y2=\"{1:.1f}\" stroke=\"#ddd\"/>\n"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        kLeft, at, kWidth - kRight, kLeft - 6, at + 4, std::pow(10.0, power));
  }
  svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                     x.start + x.length / 2, kHeight - 12, x_name);
  svg += fmt::format(
      "<text x=\"16\" y=\"{0:.1f}\" text-anchor=\"middle\" "
      "transform=\"rotate(-90 16 {0:.1f})\">{1}</text>\n",
      y.start + y.length / 2, y_name);
  for (std::size_t i = 0; i < series.size(); ++i) {
    const char* colour = kColours[i % 4];
    std::string path_points;
    for (const PlotPoint& point : series[i].points) {
      path_points += fmt::format("{:.1f},{:.1f} ", x.At(point.x), y.At(point.y));
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n",
                         x.At(point.x), y.At(point.y), colour);
    }
    svg +=
        fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\"/>\n", path_points, colour);
    const PlotPoint& last = series[i].points.back();
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\">{}</text>\n", x.At(last.x) + 8,
                       y.At(last.y) + 4, colour, series[i].name);
  }
  WriteFileAtomically(path, svg + "</svg>\n");
}

}  // namespace bitsearch
