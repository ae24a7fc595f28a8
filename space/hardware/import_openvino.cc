// benchmark_app's detailed counters. See importers.h.
#include <algorithm>
#include <array>
#include <optional>

#include "space/hardware/importers.h"
#include "space/support/csv.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr std::array<std::string_view, 6> kHeader = {"layerName", "execStatus",    "layerType",
                                                     "execType",  "realTime (ms)", "cpuTime (ms)"};
constexpr int kDecimalsOfNs = 6;  // Of a millisecond.

struct Cell {
  std::string text;
  SourceLocation where;
};

/// The cells of a line; every one, the last too, must end with ';'.
std::vector<Cell> Cells(std::string_view line, const std::string& file, int number) {
  std::vector<Cell> cells;
  std::size_t at = 0;
  while (at < line.size()) {
    const std::size_t end = line.find(';', at);
    const SourceLocation where{file, number, static_cast<int>(at) + 1};
    if (end == std::string_view::npos) {
      throw Error(ErrorId::kProfileFormat, "the last field does not end with ';'")
          .At(where)
          .Hint("was the file cut short?");
    }
    cells.push_back({std::string(line.substr(at, end - at)), where});
    at = end + 1;
  }
  return cells;
}

std::int64_t Nanoseconds(const Cell& cell) {
  const Decimal decimal = ParseDecimal(cell.text, cell.where);
  if (decimal.unscaled < 0) {
    throw Error(ErrorId::kProfileFormat, "got " + cell.text + " (allowed: a time of 0 or more)")
        .At(cell.where);
  }
  if (decimal.decimals <= kDecimalsOfNs) return ScaleTo(decimal, kDecimalsOfNs, cell.where);
  std::int64_t divisor = 1;
  for (int i = kDecimalsOfNs; i < decimal.decimals; ++i) divisor *= 10;
  return (decimal.unscaled + divisor / 2) / divisor;
}

bool MayBeLayer(const std::string& type) {
  for (const char* name : {"Convolution", "GroupConvolution", "ConvolutionBackpropData",
                           "GroupConvolutionBackpropData", "Deconvolution", "FullyConnected",
                           "MatMul", "BinaryConvolution"}) {
    if (type == name) return true;
  }
  return false;
}

}  // namespace

ImportedProfile ImportOpenVino(const std::string& path, BitChoice choice,
                               const std::vector<LayerKey>& layers) {
  const std::string text = ReadTextFile(path);
  std::vector<ProfileRow> rows;
  std::string_view rest = text;
  bool total = false;
  for (int number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::vector<Cell> cells = Cells(line, path, number);
    if (number == 1) {
      for (std::size_t c = 0; c < kHeader.size(); ++c) {
        if (c < cells.size() && cells[c].text == kHeader[c]) continue;
        throw Error(ErrorId::kProfileFormat,
                    "column " + std::to_string(c + 1) + " must be '" + std::string(kHeader[c]) +
                        "'" + (c < cells.size() ? ", got '" + cells[c].text + "'" : ""))
            .At(c < cells.size() ? cells[c].where : SourceLocation{path, number, 1})
            .Hint("write the file with benchmark_app -report_type detailed_counters");
      }
      continue;
    }
    if (total) {
      throw Error(ErrorId::kProfileFormat, "a row after the row 'Total'")
          .At({path, number, 1})
          .Hint("one file holds one inference request");
    }
    if (cells.front().text == "Total") {
      total = true;
      continue;
    }
    if (cells.size() != kHeader.size()) {
      throw Error(ErrorId::kProfileFormat,
                  "got " + std::to_string(cells.size()) +
                      " fields (allowed: " + std::to_string(kHeader.size()) + ")")
          .At({path, number, 1});
    }
    const std::string& status = cells[1].text;
    // Other versions write "Status.EXECUTED" and the like.
    const bool executed = status.ends_with("EXECUTED");
    if (!executed && !status.ends_with("OPTIMIZED_OUT") && !status.ends_with("NOT_RUN")) {
      throw Error(ErrorId::kProfileFormat,
                  "got '" + status + "' (allowed: EXECUTED, OPTIMIZED_OUT, NOT_RUN)")
          .At(cells[1].where)
          .Key("execStatus");
    }
    const std::int64_t real_ns = Nanoseconds(cells[4]);
    Nanoseconds(cells[5]);
    if (!executed) continue;
    ProfileRow row;
    row.names = {cells[0].text};
    row.time.latency_ns = real_ns;
    row.kind = cells[2].text == "Reorder"  ? ProfileRow::Kind::kReformat
               : MayBeLayer(cells[2].text) ? ProfileRow::Kind::kKernel
                                           : ProfileRow::Kind::kOther;
    rows.push_back(std::move(row));
  }
  ImportedProfile result = AssembleProfile(rows, choice, layers, path);
  result.table.SetProvenance("tool", "OpenVINO benchmark_app detailed_counters, real time");
  return result;
}

}  // namespace bitsearch
