// Draws of the benchmark's problems.
#include "experiments/benchmarks/solver_benchmark/instances.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "space/support/files.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

std::vector<std::pair<int, int>> BitsOf(int choices) {
  std::vector<std::pair<int, int>> bits;
  if (choices == 4) return {{2, 2}, {4, 4}, {6, 6}, {8, 8}};
  constexpr std::array<int, 5> kWidths = {2, 8, 4, 6, 3};
  const auto widths = static_cast<std::size_t>(std::lround(std::sqrt(choices)));
  for (std::size_t w = 0; w < widths; ++w) {
    for (std::size_t a = 0; a < widths; ++a) bits.emplace_back(kWidths.at(w), kWidths.at(a));
  }
  return bits;
}

}  // namespace

AssignmentProblem LayerProblem(std::size_t layers, int choices, std::uint64_t seed) {
  RandomStream random(seed, "solver_benchmark/layers");
  const auto draw_shape = [&random] {
    const double parameters = std::round(std::exp(10.0 + 1.5 * random.Normal()));
    return std::pair(parameters, std::round(parameters * std::exp(4.0 + random.Normal())));
  };
  std::vector<std::pair<double, double>> shapes;
  for (int n = 0; n < 8; ++n) shapes.push_back(draw_shape());
  const auto bits = BitsOf(choices);
  AssignmentProblem problem;
  for (const char* name : {"size_bits", "latency_ns", "bops"}) {
    problem.resources.push_back({.name = name});
  }
  for (std::size_t l = 0; l < layers; ++l) {
    const auto [parameters, macs] =
        seed % 2 == 1 ? shapes[random.Below(shapes.size())] : draw_shape();
    const double sensitivity = std::exp(1.5 * random.Normal());
    problem.loss.emplace_back();
    for (Resource& resource : problem.resources) resource.cost.emplace_back();
    for (const auto& [w, a] : bits) {
      const double weight_error = std::pow(4.0, -w) * (0.5 + random.Uniform());
      const double activation_error = std::pow(4.0, -a) * (0.5 + random.Uniform());
      problem.loss.back().push_back(sensitivity * std::sqrt(parameters) *
                                    (weight_error + activation_error));
      const auto add = [&problem](std::size_t resource, double value) {
        problem.resources[resource].cost.back().push_back(std::llround(value));
      };
      add(kSize, parameters * w);
      add(kLatency, macs * std::max(w, a) * (0.8 + 0.4 * random.Uniform()));
      add(kBops, macs * w * a);
    }
  }
  return problem;
}

void LimitHalfWay(std::size_t resource, AssignmentProblem* problem) {
  std::int64_t least = 0;
  std::int64_t largest = 0;
  for (const auto& row : problem->resources[resource].cost) {
    const auto [low, high] = std::minmax_element(row.begin(), row.end());
    least += *low;
    largest += *high;
  }
  problem->resources[resource].limit = least + (largest - least) / 2;
}

AssignmentProblem PairProblem(std::size_t layers, int choices, std::uint64_t seed) {
  constexpr std::size_t kDimensions = 128;
  RandomStream random(seed, "solver_benchmark/pairs");
  AssignmentProblem problem;
  problem.resources.push_back({.name = "size_bits"});
  using Vector = std::array<double, kDimensions>;
  const auto dot = [](const Vector& a, const Vector& b) {
    double sum = 0.0;
    for (std::size_t k = 0; k < kDimensions; ++k) sum += a[k] * b[k];
    return sum;
  };
  std::vector<std::vector<Vector>> error(layers);
  for (std::vector<Vector>& of_layer : error) {
    const double parameters = std::round(std::exp(10.0 + 1.5 * random.Normal()));
    const double length = std::exp(0.75 * random.Normal());
    problem.loss.emplace_back();
    problem.resources[0].cost.emplace_back();
    for (int bits = 2; bits < 2 + choices; ++bits) {
      Vector vector;
      for (double& value : vector) value = length * std::pow(2.0, -bits) * random.Normal();
      problem.loss.back().push_back(0.5 * dot(vector, vector));
      problem.resources[0].cost.back().push_back(std::llround(parameters) * bits);
      of_layer.push_back(vector);
    }
  }
  for (std::size_t i = 0; i < layers; ++i) {
    for (std::size_t j = i + 1; j < layers; ++j) {
      PairTerm pair;
      pair.first = LayerIndex(i);
      pair.second = LayerIndex(j);
      for (const Vector& a : error[i]) {
        for (const Vector& b : error[j]) pair.loss.push_back(dot(a, b));
      }
      problem.pairs.push_back(std::move(pair));
    }
  }
  LimitHalfWay(0, &problem);
  return problem;
}

AssignmentProblem HaqProblem(const std::string& path, std::uint64_t seed) {
  const nlohmann::json table = nlohmann::json::parse(ReadTextFile(path));
  RandomStream random(seed, "solver_benchmark/haq");
  AssignmentProblem problem;
  Resource latency{.name = "cycles"};
  for (const nlohmann::json& layer : table["table"]) {
    const double weight_loss = std::exp(1.5 * random.Normal());
    const double activation_loss = std::exp(1.5 * random.Normal());
    problem.loss.emplace_back();
    latency.cost.emplace_back();
    for (std::size_t w = 0; w < layer.size(); ++w) {
      for (std::size_t a = 0; a < layer[w].size(); ++a) {
        problem.loss.back().push_back(weight_loss * std::pow(4.0, -static_cast<double>(w + 1)) +
                                      activation_loss * std::pow(4.0, -static_cast<double>(a + 1)));
        latency.cost.back().push_back(layer[w][a]);
      }
    }
  }
  latency.limit = table["all_8bit_sum"].get<std::int64_t>() * 6 / 10;
  problem.resources.push_back(std::move(latency));
  return problem;
}

}  // namespace bitsearch
