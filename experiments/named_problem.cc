// A named problem's answers, limits and pins.
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <string>
#include <vector>

#include "experiments/problem_columns.h"
#include "experiments/problem_files.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

/// Other names under which users look for the peak.
bool MeansPeak(std::string_view name) {
  return name == "peak_bits" || name == "peak_memory" || name == "peak" ||
         name == "peak_activation_bits";
}

}  // namespace

ResourceIndex NamedProblem::FindResource(std::string_view name) const {
  std::vector<std::string> names;
  for (std::size_t r = 0; r < problem.resources.size(); ++r) {
    const std::string& known = problem.resources[r].name;
    if (known == name || (known == kPeakResource && MeansPeak(name))) return ResourceIndex(r);
    names.push_back(known);
  }
  std::string all;
  for (const std::string& known : names) all += (all.empty() ? "" : ", ") + known;
  const std::string nearest = NearestName(name, names);
  throw Error(ErrorId::kResourceUnknown, fmt::format("no file has a resource '{}'", name))
      .Hint(names.empty()
                ? "give --latency, --cost or --cuts"
                : (nearest.empty() ? "" : "did you mean '" + nearest + "'? ") + ("known: " + all));
}

std::string NamedProblem::ValueText(ResourceIndex resource, std::int64_t value) const {
  return DecimalText(value, decimals[resource.value]);
}

std::string NamedProblem::WhyNothingIsLeft() const {
  std::vector<std::vector<std::uint8_t>> left;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    left.emplace_back(choices[l].size(), 1);
    if (problem.pins.empty() || !problem.pins[l]) continue;
    for (std::size_t c = 0; c < left[l].size(); ++c) left[l][c] = c == problem.pins[l]->value;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (const Tie& tie : problem.ties) {
      for (std::size_t i = 0; i < tie.layers.size(); ++i) {
        std::vector<std::uint8_t>& mine = left[tie.layers[i].value];
        for (std::size_t j = 0; j < tie.layers.size(); ++j) {
          const std::vector<std::uint8_t>& other = left[tie.layers[j].value];
          bool any = false;
          for (std::size_t c = 0; c < mine.size(); ++c) {
            bool shared = false;
            for (std::size_t d = 0; d < other.size(); ++d) {
              shared = shared || (other[d] && tie.label[i][c] == tie.label[j][d]);
            }
            if (mine[c] && !shared) {
              mine[c] = 0;
              changed = true;
            }
            any = any || mine[c];
          }
          if (!any) {
            return fmt::format("tie group '{}' leaves layer '{}' without a choice (beside '{}')",
                               tie.name, layers[tie.layers[i].value], layers[tie.layers[j].value]);
          }
        }
      }
    }
  }
  return "";
}

bool PairLosses::Add(LayerChoice a, LayerChoice b, double loss_increase) {
  if (b.layer < a.layer) std::swap(a, b);
  std::vector<PairTerm>& terms = named_.problem.pairs;
  const std::size_t columns = named_.choices[b.layer.value].size();
  const auto [at, fresh] = term_at_.try_emplace({a.layer, b.layer}, terms.size());
  if (fresh) {
    PairTerm term;
    term.first = a.layer;
    term.second = b.layer;
    term.loss.assign(named_.choices[a.layer.value].size() * columns, 0.0);
    terms.push_back(std::move(term));
  }
  const std::size_t entry = a.choice * columns + b.choice;
  terms[at->second].loss[entry] = loss_increase;
  return seen_.insert({at->second, entry}).second;
}

void AddLimit(std::string_view limit, NamedProblem* problem) {
  const std::size_t equals = limit.find('=');
  if (equals == std::string_view::npos) {
    throw Error(ErrorId::kLimitValue, fmt::format("got --limit '{}' (allowed: NAME=VALUE)", limit))
        .Hint("for example --limit latency_us=900");
  }
  const ResourceIndex resource = problem->FindResource(limit.substr(0, equals));
  const std::string_view value = limit.substr(equals + 1);
  const auto units = FloorToGrid(value, problem->decimals[resource.value]);
  if (!units) {
    throw Error(ErrorId::kLimitValue,
                fmt::format("got --limit '{}': '{}' is no number, or too large", limit, value))
        .Hint("write a decimal number, such as 900 or 812.5");
  }
  std::optional<std::int64_t>& target = problem->problem.resources[resource.value].limit;
  if (target) {
    throw Error(ErrorId::kLimitTwice, fmt::format("'{}' is limited twice",
                                                  problem->problem.resources[resource.value].name))
        .Hint("keep the smaller limit");
  }
  target = *units;
}

void AddPin(std::string_view pin, NamedProblem* problem) {
  const std::size_t equals = pin.rfind('=');
  const std::size_t comma = equals == std::string_view::npos ? equals : pin.find(',', equals);
  if (comma == std::string_view::npos) {
    throw Error(ErrorId::kPinValue, fmt::format("got --pin '{}' (allowed: GLOB=W,A)", pin))
        .Hint("for example --pin 'layer4.*=8,8'");
  }
  const std::string glob(pin.substr(0, equals));
  const auto weight = NumberFormat::Parse(pin.substr(equals + 1, comma - equals - 1));
  const auto activation = NumberFormat::Parse(pin.substr(comma + 1));
  if (!weight || !activation) {
    throw Error(ErrorId::kPinValue, fmt::format("got --pin '{}': the bits cannot be read", pin))
        .Hint("allowed: 1 to 16, ternary, fp16, bf16, fp32, 0");
  }
  const BitChoice wanted{*weight, *activation};
  std::vector<std::optional<ChoiceIndex>>& pins = problem->problem.pins;
  pins.resize(problem->layers.size());
  bool any = false;
  for (std::size_t l = 0; l < problem->layers.size(); ++l) {
    if (fnmatch(glob.c_str(), problem->layers[l].c_str(), 0) != 0) continue;
    any = true;
    const auto& list = problem->choices[l];
    const auto at = std::find(list.begin(), list.end(), wanted);
    if (at == list.end()) {
      std::string all;
      for (const BitChoice& choice : list) all += (all.empty() ? "" : ", ") + choice.ToString();
      throw Error(ErrorId::kPinValue, fmt::format("--pin '{}': layer '{}' has no choice {}", pin,
                                                  problem->layers[l], wanted.ToString()))
          .Hint("its choices: " + all);
    }
    const ChoiceIndex choice(static_cast<std::size_t>(at - list.begin()));
    if (pins[l] && *pins[l] != choice) {
      throw Error(ErrorId::kPinValue,
                  fmt::format("--pin '{}': layer '{}' is pinned to {} already", pin,
                              problem->layers[l], list[pins[l]->value].ToString()))
          .Hint("give each layer one pin");
    }
    pins[l] = choice;
  }
  if (!any) {
    const std::string nearest = NearestName(glob, problem->layers);
    throw Error(ErrorId::kPinValue, fmt::format("--pin '{}' matches no layer", pin))
        .Hint(nearest.empty() ? "patterns are shell globs over layer names"
                              : "did you mean '" + nearest + "'?");
  }
}

}  // namespace bitsearch
