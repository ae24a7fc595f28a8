// One binary column per choice, one equality per layer, one row per limit.
#include "experiments/benchmarks/solver_benchmark/cbc.h"

#include <fmt/format.h>

#include <vector>

#include "experiments/benchmarks/solver_benchmark/measure.h"

#ifdef BITSEARCH_WITH_CBC
#include <Cbc_C_Interface.h>
#endif

namespace bitsearch {

#ifdef BITSEARCH_WITH_CBC

CbcAnswer SolveWithCbc(const AssignmentProblem& problem, double optimum, double relative_gap,
                       double time_limit_s) {
  constexpr double kScaledOptimum = 1e5;
  constexpr double kScaledLimit = 1e5;
  const auto layers = static_cast<int>(problem.layer_count());
  std::vector<const Resource*> limited;
  for (const Resource& resource : problem.resources) {
    if (resource.limit) limited.push_back(&resource);
  }
  std::vector<CoinBigIndex> start = {0};
  std::vector<int> row;
  std::vector<double> value;
  std::vector<double> objective;
  for (int l = 0; l < layers; ++l) {
    const auto layer = static_cast<std::size_t>(l);
    for (std::size_t c = 0; c < problem.loss[layer].size(); ++c) {
      row.push_back(l);
      value.push_back(1.0);
      for (std::size_t r = 0; r < limited.size(); ++r) {
        row.push_back(layers + static_cast<int>(r));
        value.push_back(static_cast<double>(limited[r]->cost[layer][c]) * kScaledLimit /
                        static_cast<double>(*limited[r]->limit));
      }
      start.push_back(static_cast<CoinBigIndex>(row.size()));
      objective.push_back(problem.loss[layer][c] * kScaledOptimum / optimum);
    }
  }
  const auto columns = static_cast<int>(objective.size());
  const std::vector<double> lower(objective.size(), 0.0);
  const std::vector<double> upper(objective.size(), 1.0);
  std::vector<double> row_lower(static_cast<std::size_t>(layers), 1.0);
  std::vector<double> row_upper(static_cast<std::size_t>(layers), 1.0);
  row_lower.resize(row_lower.size() + limited.size(), -1e30);
  row_upper.resize(row_upper.size() + limited.size(), kScaledLimit);
  Cbc_Model* model = Cbc_newModel();
  Cbc_setLogLevel(model, 0);
  Cbc_loadProblem(model, columns, static_cast<int>(row_lower.size()), start.data(), row.data(),
                  value.data(), lower.data(), upper.data(), objective.data(), row_lower.data(),
                  row_upper.data());
  for (int column = 0; column < columns; ++column) Cbc_setInteger(model, column);
  Cbc_setParameter(model, "logLevel", "0");
  Cbc_setParameter(model, "ratioGap", fmt::format("{}", relative_gap).c_str());
  Cbc_setParameter(model, "allowableGap", "0");
  Cbc_setParameter(model, "seconds", fmt::format("{}", time_limit_s).c_str());
  CbcAnswer answer;
  answer.available = true;
  const CpuClock clock;
  Cbc_solve(model);
  answer.cpu_seconds = clock.Seconds();
  answer.optimal = Cbc_isProvenOptimal(model) != 0;
  // From the columns, not from CBC's own sum, which is scaled and rounded.
  const double* solution = Cbc_getColSolution(model);
  std::size_t column = 0;
  for (const std::vector<double>& of_layer : problem.loss) {
    for (double loss : of_layer) {
      if (solution[column++] > 0.5) answer.objective += loss;
    }
  }
  Cbc_deleteModel(model);
  return answer;
}

#else

CbcAnswer SolveWithCbc(const AssignmentProblem&, double, double, double) { return {}; }

#endif

}  // namespace bitsearch
