#pragma once
// An AssignmentProblem from the CSV files that other tools write (sensitivity, latency, cost, ties,
// transitions, pairs, cuts), with the names that its numbers stand for. Torch-free; needs no
// network.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "search/assignment_problem.h"
#include "sensitivity/sensitivity_report.h"
#include "space/choices/bit_choice.h"

namespace bitsearch {

/// Paths of the files; only the sensitivity is needed.
struct ProblemFiles {
  std::string sensitivity;
  std::optional<std::string> latency;
  std::optional<std::string> cost;
  std::optional<std::string> ties;
  std::optional<std::string> transitions;
  std::optional<std::string> pairs;
  std::optional<std::string> cuts;
};

/// A problem whose layers, choices and resources have names.
struct NamedProblem {
  AssignmentProblem problem;
  std::vector<std::string> layers;
  std::vector<std::vector<BitChoice>> choices;  ///< [layer][choice]
  /// Resources are integers: the file's decimals times 10^decimals.
  std::vector<int> decimals;
  /// [layer][choice]; empty if the sensitivity has no standard errors. Missing entries are 0.
  std::vector<std::vector<double>> standard_error;

  /// Throws Error(kResourceUnknown) with the nearest name.
  ResourceIndex FindResource(std::string_view name) const;
  /// A value of a resource as an exact decimal in the file's unit: "3614.70712".
  std::string ValueText(ResourceIndex resource, std::int64_t value) const;
  /// Where ties or pins leave a layer without a choice, a sentence that names them; else "".
  std::string WhyNothingIsLeft() const;
};

/// One choice of one layer of a problem.
struct LayerChoice {
  LayerIndex layer;
  std::size_t choice = 0;
};

/// Adds what pairs of choices add to the loss, one PairTerm for each pair of layers. `named` must
/// outlive it and get its layers and choices before.
class PairLosses {
 public:
  explicit PairLosses(NamedProblem* named) : named_(*named) {}
  /// Of two layers, in any order. False if the pair of choices has been given before.
  bool Add(LayerChoice a, LayerChoice b, double loss_increase);

 private:
  NamedProblem& named_;
  std::map<std::pair<LayerIndex, LayerIndex>, std::size_t> term_at_;
  std::set<std::pair<std::size_t, std::size_t>> seen_;  ///< Term and entry of its matrix.
};

/// Name of the resource that a cuts file adds: the peak of live activations, in bits.
inline constexpr std::string_view kPeakResource = "peak_memory_bits";

/// Layers, choices and losses alone: no resources yet.
NamedProblem ProblemFromSensitivity(const SensitivityReport& report);

/// Reads the files. The choices of a layer are those of the sensitivity; every latency and cost
/// column must have a value for each (further rows are ignored). A latency file's comments
/// `fixed_latency_us: T` and `signature N: ["S", "layer", …]` are understood.
/// Throws Error of class kData with file, line and column.
NamedProblem ReadProblem(const ProblemFiles& files);

/// Sets the limit of "name=value". The value is an exact decimal (an exponent is allowed), rounded
/// down to the resource's grid. Throws Error(kLimitValue), Error(kResourceUnknown), and
/// Error(kLimitTwice) if the resource has a limit already.
void AddLimit(std::string_view limit, NamedProblem* problem);

/// Fixes the layers that match the shell glob of "GLOB=W,A". Throws Error(kPinValue) if the text
/// cannot be read, nothing matches, a layer lacks the choice or is pinned to another already.
void AddPin(std::string_view pin, NamedProblem* problem);

}  // namespace bitsearch
