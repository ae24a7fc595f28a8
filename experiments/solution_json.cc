// JSON and text of solutions and frontiers.
#include "experiments/solution_json.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

namespace bitsearch {
namespace {

std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string Number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : std::string("null");
}

/// Integer bits as a number, other formats by name.
std::string Bits(const NumberFormat& format) {
  return format.is_integer() || format.kind() == NumberFormat::Kind::kSkip
             ? format.ToString()
             : Quoted(format.ToString());
}

std::string LimitName(const NamedProblem& named, ResourceIndex resource) {
  return named.problem.resources[resource.value].name;
}

std::string ValueOrNull(const NamedProblem& named, ResourceIndex resource,
                        const std::optional<std::int64_t>& value) {
  return value ? named.ValueText(resource, *value) : std::string("null");
}

/// `"conflicts": […]`, and `"feasible_limits": {…}` where there are conflicts.
std::string ConflictsJson(const NamedProblem& named, const std::vector<LimitConflict>& conflicts,
                          const std::vector<FeasibleLimit>& feasible_limits) {
  std::string text = "  \"conflicts\": [";
  for (std::size_t i = 0; i < conflicts.size(); ++i) {
    const LimitConflict& conflict = conflicts[i];
    text += fmt::format(
        "{}\n    {{\"limit\": {}, \"least_feasible\": {}, \"least_alone\": {}, \"set\": {}, "
        "\"proved\": {}}}",
        i == 0 ? "" : ",", Quoted(LimitName(named, conflict.resource)),
        ValueOrNull(named, conflict.resource, conflict.least_feasible),
        ValueOrNull(named, conflict.resource, conflict.least_alone), conflict.set, conflict.proved);
  }
  text += conflicts.empty() ? "]" : "\n  ]";
  if (conflicts.empty()) return text;
  text += ",\n  \"feasible_limits\": {";
  for (std::size_t i = 0; i < feasible_limits.size(); ++i) {
    const FeasibleLimit& limit = feasible_limits[i];
    text += fmt::format("{}{}: {}", i == 0 ? "" : ", ", Quoted(LimitName(named, limit.resource)),
                        named.ValueText(limit.resource, limit.value));
  }
  return text + "}";
}

void WriteConflictsText(const NamedProblem& named, const std::vector<LimitConflict>& conflicts,
                        const std::vector<FeasibleLimit>& feasible_limits, std::ostream& out) {
  const bool several_sets = !conflicts.empty() && conflicts.back().set > 1;
  for (const LimitConflict& conflict : conflicts) {
    const Resource& resource = named.problem.resources[conflict.resource.value];
    fmt::print(out, "conflict    {}: limit {}", resource.name,
               named.ValueText(conflict.resource, *resource.limit));
    if (conflict.least_feasible) {
      fmt::print(out, ", least feasible {}",
                 named.ValueText(conflict.resource, *conflict.least_feasible));
    } else if (conflict.least_alone) {
      fmt::print(out, ", least without the other limits {}",
                 named.ValueText(conflict.resource, *conflict.least_alone));
    }
    if (several_sets) fmt::print(out, ", conflicting set {}", conflict.set);
    fmt::print(out, "{}\n", conflict.proved ? "" : " (not proved in the time)");
  }
  std::string together;
  for (const FeasibleLimit& limit : feasible_limits) {
    together += fmt::format("  {}={}", LimitName(named, limit.resource),
                            named.ValueText(limit.resource, limit.value));
  }
  if (!together.empty()) fmt::print(out, "feasible  {}\n", together);
}

/// A price per integer unit as one per unit of the file.
double PerFileUnit(const NamedProblem& named, const ShadowPrice& price) {
  return price.loss_per_unit * std::pow(10.0, named.decimals[price.resource.value]);
}

}  // namespace

void WriteSolutionJson(const NamedProblem& named, const Solution& solution, std::ostream& out) {
  std::string text = "{\n  \"format\": \"bitsearch/solution/1\",\n";
  text += fmt::format("  \"status\": \"{}\",\n  \"solver\": {},\n", NameOf(solution.status),
                      Quoted(solution.solver));
  text += fmt::format("  \"objective\": {},\n", Number(solution.objective));
  text += fmt::format("  \"lower_bound\": {},\n", Number(solution.lower_bound));
  text += fmt::format("  \"gap\": {},\n", Number(solution.gap()));
  if (!solution.message.empty())
    text += fmt::format("  \"message\": {},\n", Quoted(solution.message));
  text += "  \"resources\": {";
  for (std::size_t r = 0; r < solution.resources.size(); ++r) {
    text += fmt::format("{}{}: {}", r == 0 ? "" : ", ", Quoted(named.problem.resources[r].name),
                        named.ValueText(ResourceIndex(r), solution.resources[r]));
  }
  text += "},\n  \"layers\": [";
  for (std::size_t l = 0; l < solution.choice.size(); ++l) {
    const BitChoice& choice = named.choices[l][solution.choice[l].value];
    text += fmt::format("{}\n    {{\"name\": {}, \"weight_bits\": {}, \"activation_bits\": {}}}",
                        l == 0 ? "" : ",", Quoted(named.layers[l]), Bits(choice.weight),
                        Bits(choice.activation));
  }
  text += solution.choice.empty() ? "],\n" : "\n  ],\n";
  text += ConflictsJson(named, solution.conflicts, solution.feasible_limits);
  if (solution.explanation) {
    text += ",\n  \"shadow_prices\": [";
    bool first = true;
    for (const ShadowPrice& price : solution.explanation->shadow_prices) {
      text +=
          fmt::format("{}\n    {{\"limit\": {}, \"loss_per_unit\": {}}}", first ? "" : ",",
                      Quoted(LimitName(named, price.resource)), Number(PerFileUnit(named, price)));
      first = false;
    }
    text += first ? "],\n" : "\n  ],\n";
    text += "  \"runner_ups\": [";
    first = true;
    for (const RunnerUp& runner : solution.explanation->runner_ups) {
      const BitChoice& choice = named.choices[runner.layer.value][runner.choice.value];
      text += fmt::format(
          "{}\n    {{\"name\": {}, \"weight_bits\": {}, \"activation_bits\": {}, "
          "\"loss_increase\": {}, \"exact\": {}}}",
          first ? "" : ",", Quoted(named.layers[runner.layer.value]), Bits(choice.weight),
          Bits(choice.activation), Number(runner.loss_increase), runner.exact);
      first = false;
    }
    text += first ? "]" : "\n  ]";
  }
  out << text << "\n}\n";
}

void WriteFrontierJson(const NamedProblem& named, const Frontier& frontier,
                       const FrontierOutput& output, std::ostream& out) {
  fmt::print(out, "{{\n  \"format\": \"bitsearch/frontier/1\",\n  \"status\": \"{}\",\n",
             NameOf(frontier.status()));
  fmt::print(out, "  \"exact\": {},\n  \"epsilon\": {},\n", frontier.exact(),
             Number(frontier.epsilon()));
  fmt::print(out, "  \"computed_points\": {},\n  \"noise_aware\": {},\n  \"thinned\": {},\n",
             output.computed_points, output.noise_aware, output.thinned);
  if (!frontier.message.empty()) fmt::print(out, "  \"message\": {},\n", Quoted(frontier.message));
  fmt::print(out, "{},\n", ConflictsJson(named, frontier.conflicts, frontier.feasible_limits));
  fmt::print(out, "  \"layers\": [");
  for (std::size_t l = 0; l < named.layers.size(); ++l) {
    fmt::print(out, "{}{}", l == 0 ? "" : ", ", Quoted(named.layers[l]));
  }
  fmt::print(out, "],\n  \"choices\": [");
  for (std::size_t l = 0; l < named.choices.size(); ++l) {
    fmt::print(out, "{}\n    [", l == 0 ? "" : ",");
    for (std::size_t c = 0; c < named.choices[l].size(); ++c) {
      fmt::print(out, "{}[{}, {}]", c == 0 ? "" : ", ", Bits(named.choices[l][c].weight),
                 Bits(named.choices[l][c].activation));
    }
    fmt::print(out, "]");
  }
  fmt::print(out, "\n  ],\n  \"points\": [");
  for (std::size_t i = 0; i < frontier.points().size(); ++i) {
    const FrontierPoint& point = frontier.points()[i];
    fmt::print(out, "{}\n    {{\"objective\": {}, \"resources\": {{", i == 0 ? "" : ",",
               Number(point.objective));
    for (std::size_t r = 0; r < output.resources.size(); ++r) {
      fmt::print(out, "{}{}: {}", r == 0 ? "" : ", ", Quoted(LimitName(named, output.resources[r])),
                 named.ValueText(output.resources[r], point.resources[r]));
    }
    std::string choices;
    for (ChoiceIndex choice : frontier.Choice(i)) {
      if (!choices.empty()) choices += ", ";
      choices += std::to_string(choice.value);
    }
    fmt::print(out, "}}, \"choice\": [{}]}}", choices);
  }
  out << "\n  ]\n}\n";
}

std::vector<std::string> ExplanationLines(const NamedProblem& named, const Solution& solution) {
  std::vector<std::string> lines;
  if (!solution.explanation) return lines;
  for (const ShadowPrice& price : solution.explanation->shadow_prices) {
    lines.push_back(fmt::format("shadow price of {}: one unit more saves {:.4g}",
                                LimitName(named, price.resource), PerFileUnit(named, price)));
  }
  std::vector<RunnerUp> runners = solution.explanation->runner_ups;
  std::stable_sort(runners.begin(), runners.end(), [](const RunnerUp& a, const RunnerUp& b) {
    return a.loss_increase < b.loss_increase;
  });
  constexpr std::size_t kMostRunners = 5;
  if (runners.size() > kMostRunners) runners.resize(kMostRunners);
  for (const RunnerUp& runner : runners) {
    lines.push_back(fmt::format("runner-up at {}: {} costs {}{:.4g}",
                                named.layers[runner.layer.value],
                                named.choices[runner.layer.value][runner.choice.value].ToString(),
                                runner.exact ? "" : "at least ", runner.loss_increase));
  }
  return lines;
}

void WriteSolutionText(const NamedProblem& named, const Solution& solution, std::ostream& out) {
  fmt::print(out, "status      {}\n", NameOf(solution.status));
  if (!solution.message.empty()) fmt::print(out, "            {}\n", solution.message);
  WriteConflictsText(named, solution.conflicts, solution.feasible_limits, out);
  if (!solution.has_choice()) return;
  fmt::print(out, "objective   {:.10g}   bound {:.10g}   gap {:.2e}\n", solution.objective,
             solution.lower_bound, solution.gap());
  for (std::size_t r = 0; r < solution.resources.size(); ++r) {
    const Resource& resource = named.problem.resources[r];
    fmt::print(out, "{:<11} {}", resource.name,
               named.ValueText(ResourceIndex(r), solution.resources[r]));
    if (resource.limit) {
      fmt::print(out, "   limit {}", named.ValueText(ResourceIndex(r), *resource.limit));
    }
    if (solution.explanation) {
      for (const ShadowPrice& price : solution.explanation->shadow_prices) {
        if (price.resource != ResourceIndex(r)) continue;
        fmt::print(out, "   one unit more saves {:.3g}", PerFileUnit(named, price));
      }
    }
    fmt::print(out, "\n");
  }
  std::size_t width = 5;
  for (const std::string& layer : named.layers) width = std::max(width, layer.size());
  fmt::print(out, "\n{:<{}}  {:>7} {:>7}", "layer", width, "weight", "act.");
  if (solution.explanation) fmt::print(out, "   {:<10} {:>12}", "runner-up", "costs");
  fmt::print(out, "\n");
  for (std::size_t l = 0; l < solution.choice.size(); ++l) {
    const BitChoice& choice = named.choices[l][solution.choice[l].value];
    fmt::print(out, "{:<{}}  {:>7} {:>7}", named.layers[l], width, choice.weight.ToString(),
               choice.activation.ToString());
    if (solution.explanation) {
      for (const RunnerUp& runner : solution.explanation->runner_ups) {
        if (runner.layer.value != l) continue;
        fmt::print(out, "   {:<10} {}{:>11.4g}", named.choices[l][runner.choice.value].ToString(),
                   runner.exact ? " " : "≥", runner.loss_increase);
      }
    }
    fmt::print(out, "\n");
  }
}

void WriteFrontierText(const NamedProblem& named, const Frontier& frontier,
                       const FrontierOutput& output, std::ostream& out) {
  fmt::print(out, "status      {}\n", NameOf(frontier.status()));
  if (!frontier.message.empty()) fmt::print(out, "            {}\n", frontier.message);
  WriteConflictsText(named, frontier.conflicts, frontier.feasible_limits, out);
  if (frontier.points().empty()) return;
  fmt::print(out, "points      {} of {}, {}\n", frontier.points().size(), output.computed_points,
             frontier.exact()
                 ? std::string("exact")
                 : fmt::format("within {:.2e} of the range of losses", frontier.epsilon()));
  for (ResourceIndex resource : output.resources) {
    fmt::print(out, "{:>18}", LimitName(named, resource));
  }
  fmt::print(out, "{:>18}  weight/activation bits by layer\n", "objective");
  for (std::size_t i = 0; i < frontier.points().size(); ++i) {
    const FrontierPoint& point = frontier.points()[i];
    for (std::size_t r = 0; r < output.resources.size(); ++r) {
      fmt::print(out, "{:>18}", named.ValueText(output.resources[r], point.resources[r]));
    }
    fmt::print(out, "{:>18.10g} ", point.objective);
    const std::vector<ChoiceIndex> choice = frontier.Choice(i);
    for (std::size_t l = 0; l < choice.size(); ++l) {
      const BitChoice& bits = named.choices[l][choice[l].value];
      fmt::print(out, " {}/{}", bits.weight.ToString(), bits.activation.ToString());
    }
    fmt::print(out, "\n");
  }
}

}  // namespace bitsearch
