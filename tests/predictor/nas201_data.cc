#include "tests/predictor/nas201_data.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "space/candidates/published_spaces.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

using S = Nas201Space;
using Operations = std::array<std::uint8_t, S::kEdges>;

/// Only edges on a path from node 0 to node 3 compute something.
Operations Live(Operations cell) {
  constexpr std::array<int, S::kEdges> kFrom = {0, 0, 1, 0, 1, 2}, kTo = {1, 2, 2, 3, 3, 3};
  std::array<bool, 4> reached = {true, false, false, false};
  std::array<bool, 4> used = {false, false, false, true};
  for (std::size_t e = 0; e < S::kEdges; ++e) {
    if (cell[e] != S::kNone && reached[kFrom[e]]) reached[kTo[e]] = true;
  }
  for (std::size_t e = S::kEdges; e-- > 0;) {
    if (cell[e] != S::kNone && used[kTo[e]]) used[kFrom[e]] = true;
  }
  for (std::size_t e = 0; e < S::kEdges; ++e) {
    if (!reached[kFrom[e]] || !used[kTo[e]]) cell[e] = S::kNone;
  }
  return cell;
}

}  // namespace

std::optional<TransferProblem> ReadNas201(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "quantized_50_epochs.json")) return std::nullopt;
  const auto rows_in = [&](const char* name) {
    return nlohmann::json::parse(ReadTextFile(folder / name)).at("rows");
  };
  TransferProblem problem;
  const CandidateSpace space = MakeNas201Space();
  problem.encoding = Encoding::OneHot(space);
  std::map<int, Operations> cells;
  const auto float_rows = rows_in("fp32.json");
  problem.source.accuracies.resize(static_cast<Eigen::Index>(float_rows.size()), 2);
  for (const auto& row : float_rows) {
    const Operations cell = Live(row.at(1).get<Operations>());
    const auto index = static_cast<Eigen::Index>(problem.source_groups.size());
    problem.source_groups.push_back(row.at(0).get<int>());
    cells[problem.source_groups.back()] = cell;
    problem.source.genomes.insert(problem.source.genomes.end(), cell.begin(), cell.end());
    problem.source.genomes.resize(problem.source_groups.size() * space.size(), 0);
    problem.source.accuracies(index, 0) = row.at(2).get<double>();
    problem.source.accuracies(index, 1) = row.at(3).get<double>();
  }
  std::map<int, std::vector<std::size_t>> of_architecture;
  for (const auto& row : rows_in("quantized_50_epochs.json")) {
    const int architecture = row.at(0).get<int>();
    const std::size_t index = problem.target_groups.size();
    of_architecture[architecture].push_back(index);
    problem.target_groups.push_back(architecture);
    problem.target.top1_percent.push_back(row.at(3).get<double>());
    const Operations& cell = cells.at(architecture);
    problem.target.genomes.insert(problem.target.genomes.end(), cell.begin(), cell.end());
    double sum = 0.0, count = 0.0;
    for (const auto& stage : row.at(1)) {
      for (const int bits : stage) {
        problem.target.genomes.push_back(bits == 8 ? 2 : bits == 4 ? 1 : 0);
        sum += bits;
        count += bits > 0 ? 1 : 0;
      }
    }
    space.Canonicalize(std::span(problem.target.genomes).last(space.size()));
    problem.reference.push_back(sum / std::max(1.0, count));
  }
  problem.reference_name = "mean bits";
  for (const auto& [architecture, rows] : of_architecture) {
    for (const std::size_t a : rows) {
      for (const std::size_t b : rows) {
        if (a < b && std::abs(problem.reference[a] - problem.reference[b]) <= 0.25 &&
            std::abs(problem.target.top1_percent[a] - problem.target.top1_percent[b]) > 2.0) {
          problem.pairs.emplace_back(a, b);
        }
      }
    }
  }
  for (std::size_t stage = 0; stage < S::kStages; ++stage) {
    problem.summaries.emplace_back();
    for (std::size_t e = 0; e < S::kEdges; ++e) {
      problem.summaries.back().push_back(S::BitsGene(stage, e));
    }
  }
  for (std::size_t e = 0; e < S::kEdges; ++e) {
    problem.summaries.emplace_back();
    for (std::size_t stage = 0; stage < S::kStages; ++stage) {
      problem.summaries.back().push_back(S::BitsGene(stage, e));
    }
  }
  return problem;
}

}  // namespace bitsearch
