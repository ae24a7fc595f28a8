#include <algorithm>

#include "search/supernet/expected_cost_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

// Where a format stands in a group; -1 if it is no candidate.
template <typename Matches>
std::int64_t PositionOf(const ChoiceGroup& group, Matches matches) {
  const auto found = std::find_if(group.candidates.begin(), group.candidates.end(), matches);
  return found == group.candidates.end() ? -1 : found - group.candidates.begin();
}

}  // namespace

ExpectedCost::ExpectedCost(const ArchitectureSpace& space,
                           const std::vector<std::vector<BitChoice>>& choices,
                           const AssignmentProblem& problem) {
  const auto layers = static_cast<std::int64_t>(choices.size());
  if (problem.layer_count() != choices.size() || space.layers.size() != choices.size()) {
    throw Error(ErrorId::kUsage, "costs, candidates and network differ in their number of layers");
  }
  std::int64_t most = 0;
  for (std::size_t l = 0; l < choices.size(); ++l) {
    if (problem.choice_count(LayerIndex(l)) != choices[l].size()) {
      throw Error(ErrorId::kUsage, "costs and candidates differ for a layer")
          .Key("layer " + std::to_string(l));
    }
    most = std::max(most, static_cast<std::int64_t>(choices[l].size()));
  }
  const auto widest = static_cast<std::int64_t>(space.widest());
  const std::int64_t one = static_cast<std::int64_t>(space.group_count()) * widest;
  weight_entry_ = at::full({layers, most}, one, at::kLong);
  activation_entry_ = at::full({layers, most}, one, at::kLong);
  present_ = at::zeros({layers, most}, at::kDouble);
  for (std::int64_t l = 0; l < layers; ++l) {
    const LayerGroups& of_layer = space.layers[static_cast<std::size_t>(l)];
    const auto& candidates = choices[static_cast<std::size_t>(l)];
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      const BitChoice& choice = candidates[c];
      const bool joint = of_layer.weight == of_layer.activation;
      const bool skip = choice.weight == NumberFormat::Skip();
      const std::int64_t w =
          PositionOf(space.groups[of_layer.weight], [&](const BitChoice& candidate) {
            return candidate.weight == choice.weight &&
                   (!joint || candidate.activation == choice.activation);
          });
      const std::int64_t a =
          joint || skip
              ? 0
              : PositionOf(space.groups[of_layer.activation], [&](const BitChoice& candidate) {
                  return candidate.activation == choice.activation;
                });
      if (w < 0 || a < 0) continue;  // Dropped by a tie or because it cannot be skipped.
      const std::int64_t place = l * most + static_cast<std::int64_t>(c);
      weight_entry_.data_ptr<std::int64_t>()[place] =
          static_cast<std::int64_t>(of_layer.weight) * widest + w;
      if (!joint && !skip) {
        activation_entry_.data_ptr<std::int64_t>()[place] =
            static_cast<std::int64_t>(of_layer.activation) * widest + a;
      }
      present_.data_ptr<double>()[place] = 1.0;
    }
  }
  const auto resources = static_cast<std::int64_t>(problem.resources.size());
  cost_ = at::zeros({resources, layers * most}, at::kDouble);
  fixed_ = at::zeros({resources}, at::kDouble);
  for (std::int64_t r = 0; r < resources; ++r) {
    const Resource& resource = problem.resources[static_cast<std::size_t>(r)];
    fixed_.data_ptr<double>()[r] = static_cast<double>(resource.fixed);
    double* row = cost_.data_ptr<double>() + r * layers * most;
    for (std::size_t l = 0; l < resource.cost.size(); ++l) {
      for (std::size_t c = 0; c < resource.cost[l].size(); ++c) {
        row[static_cast<std::int64_t>(l) * most + static_cast<std::int64_t>(c)] =
            static_cast<double>(resource.cost[l][c]);
      }
    }
    if (!resource.is_peak()) continue;
    PeakResource peak{
        static_cast<std::size_t>(r),
        at::zeros({static_cast<std::int64_t>(resource.cuts.size()), layers * most}, at::kDouble)};
    double* cut_row = peak.cost.data_ptr<double>();
    for (const Cut& cut : resource.cuts) {
      for (const CutMember& member : cut.members) {
        for (std::size_t c = 0; c < member.cost.size(); ++c) {
          cut_row[static_cast<std::int64_t>(member.layer.value) * most +
                  static_cast<std::int64_t>(c)] += static_cast<double>(member.cost[c]);
        }
      }
      cut_row += layers * most;
    }
    peaks_.push_back(std::move(peak));
  }
  for (const PairTerm& pair : problem.pairs) {
    const std::size_t rows = choices[pair.first.value].size();
    const std::size_t columns = choices[pair.second.value].size();
    for (const auto& [resource, matrix] : pair.cost) {
      Edge edge{static_cast<std::int64_t>(pair.first.value),
                static_cast<std::int64_t>(pair.second.value), resource.value,
                at::zeros({most, most}, at::kDouble)};
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < columns; ++j) {
          edge.cost.data_ptr<double>()[static_cast<std::int64_t>(i) * most +
                                       static_cast<std::int64_t>(j)] =
              static_cast<double>(matrix[i * columns + j]);
        }
      }
      edges_.push_back(std::move(edge));
    }
  }
}

at::Tensor ExpectedCost::Expected(const at::Tensor& masks) const {
  const at::Tensor entries =
      at::cat({masks.to(at::kDouble).reshape({-1}), at::ones({1}, at::kDouble)});
  const auto gather = [&](const at::Tensor& index) {
    return entries.index_select(0, index.view({-1})).view(index.sizes());
  };
  const at::Tensor probability = gather(weight_entry_) * gather(activation_entry_) * present_;
  const at::Tensor flat = probability.view({-1});
  at::Tensor expected = at::mv(cost_, flat) + fixed_;
  std::vector<at::Tensor> extra;
  std::vector<std::int64_t> of_resource;
  for (const Edge& edge : edges_) {
    extra.push_back(at::dot(probability.select(0, edge.first),
                            at::mv(edge.cost, probability.select(0, edge.second))));
    of_resource.push_back(static_cast<std::int64_t>(edge.resource));
  }
  for (const PeakResource& peak : peaks_) {
    extra.push_back(at::mv(peak.cost, flat).max());
    of_resource.push_back(static_cast<std::int64_t>(peak.resource));
  }
  if (extra.empty()) return expected;
  return expected.index_add(0, at::tensor(of_resource, at::kLong), at::stack(extra));
}

SearchLoss::SearchLoss(const std::vector<SearchCostTerm>& terms, const AssignmentProblem& problem) {
  for (const SearchCostTerm& term : terms) {
    const auto found =
        std::find_if(problem.resources.begin(), problem.resources.end(),
                     [&](const Resource& resource) { return resource.name == term.resource; });
    if (found == problem.resources.end()) {
      throw Error(ErrorId::kUsage, "the search's loss names a resource that no budget or cost has")
          .Key(term.resource);
    }
    Term resolved{term, found - problem.resources.begin(), term.scale};
    if (resolved.scale <= 0.0 && found->limit) {
      resolved.scale = static_cast<double>(*found->limit);
    }
    if (resolved.scale <= 0.0 && term.kind == SearchCostTerm::Kind::kHinge) {
      throw Error(ErrorId::kUsage, "a hinge needs a limit, this resource has none")
          .Key(term.resource)
          .Hint("give the budget a limit for it");
    }
    if (resolved.scale <= 0.0) {
      // The dearest configuration.
      double most = static_cast<double>(found->fixed);
      for (const auto& layer : found->cost) {
        most += static_cast<double>(*std::max_element(layer.begin(), layer.end()));
      }
      resolved.scale = std::max(most, 1.0);
    }
    terms_.push_back(resolved);
  }
}

at::Tensor SearchLoss::Total(const at::Tensor& cross_entropy, const at::Tensor& expected) const {
  at::Tensor total = cross_entropy;
  for (const Term& t : terms_) {
    if (t.term.kind != SearchCostTerm::Kind::kMultiplicative) continue;
    // Below e the logarithm leaves the range the formula is meant for.
    const at::Tensor log_cost = expected.select(0, t.resource).clamp_min(2.718281828).log();
    total = total * (t.term.weight * log_cost.pow(t.term.exponent)).to(total.options());
  }
  for (const Term& t : terms_) {
    if (t.term.kind == SearchCostTerm::Kind::kMultiplicative) continue;
    const at::Tensor relative = expected.select(0, t.resource) / t.scale;
    const bool hinge = t.term.kind == SearchCostTerm::Kind::kHinge;
    total =
        total + (t.term.weight * (hinge ? at::relu(relative - 1.0) : relative)).to(total.options());
  }
  return total;
}

}  // namespace bitsearch
