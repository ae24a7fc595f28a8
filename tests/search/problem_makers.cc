// Random problems and their brute-force answers.
#include "tests/search/problem_makers.h"

#include <algorithm>
#include <functional>
#include <sstream>

namespace bitsearch {
namespace {

int Between(RandomStream& random, int from, int to) {
  return from + static_cast<int>(random.Below(static_cast<std::uint64_t>(to - from + 1)));
}

/// Independent sums; nothing of AssignmentProblem::Assess is used.
struct Sums {
  double objective = 0.0;
  std::vector<std::int64_t> resources;
  bool allowed = true;
  bool within = true;
};

Sums AddUp(const AssignmentProblem& p, const std::vector<std::size_t>& c) {
  Sums s;
  for (std::size_t l = 0; l < c.size(); ++l) s.objective += p.loss[l][c[l]];
  for (const Resource& r : p.resources) {
    std::int64_t value = r.fixed;
    for (std::size_t l = 0; l < r.cost.size(); ++l) value += r.cost[l][c[l]];
    for (const Cut& cut : r.cuts) {
      std::int64_t live = 0;
      for (const CutMember& m : cut.members) live += m.cost[c[m.layer.value]];
      value = std::max(value, live);
    }
    s.resources.push_back(value);
  }
  for (const PairTerm& t : p.pairs) {
    const std::size_t at = c[t.first.value] * p.loss[t.second.value].size() + c[t.second.value];
    if (!t.loss.empty()) s.objective += t.loss[at];
    for (const auto& [r, cost] : t.cost) s.resources[r.value] += cost[at];
  }
  for (std::size_t r = 0; r < p.resources.size(); ++r) {
    if (p.resources[r].limit && s.resources[r] > *p.resources[r].limit) s.within = false;
  }
  for (const Tie& tie : p.ties) {
    for (std::size_t i = 0; i < tie.layers.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (tie.label[i][c[tie.layers[i].value]] != tie.label[j][c[tie.layers[j].value]]) {
          s.allowed = false;
        }
      }
    }
  }
  for (std::size_t l = 0; l < p.pins.size(); ++l) {
    if (p.pins[l] && p.pins[l]->value != c[l]) s.allowed = false;
  }
  return s;
}

void ForAll(const AssignmentProblem& p, const std::function<void(const std::vector<std::size_t>&)>& f) {
  std::vector<std::size_t> c(p.loss.size(), 0);
  while (true) {
    f(c);
    std::size_t l = 0;
    while (l < c.size() && ++c[l] == p.loss[l].size()) c[l++] = 0;
    if (l == c.size()) return;
  }
}

double RandomLoss(const RandomProblemShape& shape, RandomStream& random) {
  if (shape.coarse) return static_cast<double>(Between(random, shape.negative_losses ? -4 : 0, 6));
  const double value = random.Uniform() * 10.0;
  return shape.negative_losses ? value - 5.0 : value;
}

std::int64_t RandomCost(const RandomProblemShape& shape, RandomStream& random) {
  return shape.coarse ? Between(random, 0, 4) : Between(random, 0, 1000000);
}

void AddPair(const RandomProblemShape& shape, std::size_t a, std::size_t b, bool with_cost,
             RandomStream& random, AssignmentProblem* p) {
  PairTerm term;
  term.first = LayerIndex(a);
  term.second = LayerIndex(b);
  const std::size_t size = p->loss[a].size() * p->loss[b].size();
  const bool with_loss = !with_cost || random.Below(2) == 0;
  for (std::size_t e = 0; with_loss && e < size; ++e) {
    term.loss.push_back(shape.coarse ? Between(random, -2, 2) : random.Uniform() * 4.0 - 2.0);
  }
  for (std::size_t r = 0; with_cost && r < p->resources.size(); ++r) {
    if (p->resources[r].is_peak() || random.Below(2) == 0) continue;
    std::vector<std::int64_t> cost;
    // As requantization costs are: they depend on few classes, and equal ones cost nothing.
    const std::size_t columns = p->loss[b].size();
    for (std::size_t e = 0; e < size; ++e) {
      const std::size_t from = (e / columns) % 2;
      const std::size_t to = (e % columns) % 2;
      cost.push_back(from == to ? 0 : RandomCost(shape, random));
    }
    term.cost.emplace_back(ResourceIndex(r), cost);
  }
  p->pairs.push_back(std::move(term));
}

}  // namespace

AssignmentProblem RandomProblem(const RandomProblemShape& shape, RandomStream& random) {
  AssignmentProblem p;
  const int layers = Between(random, shape.layers_from, shape.layers_to);
  for (int l = 0; l < layers; ++l) {
    const int choices = Between(random, shape.choices_from, shape.choices_to);
    p.loss.emplace_back();
    for (int c = 0; c < choices; ++c) p.loss.back().push_back(RandomLoss(shape, random));
    // Now and then a choice twice, or a layer with one choice.
    if (random.Below(8) == 0 && choices > 1) p.loss.back()[1] = p.loss.back()[0];
    if (random.Below(12) == 0) p.loss.back().resize(1);
  }
  for (int r = 0; r < shape.limits; ++r) {
    Resource resource;
    resource.name = "r" + std::to_string(r);
    resource.fixed = random.Below(3) == 0 ? RandomCost(shape, random) : 0;
    const bool zero = random.Below(10) == 0;
    for (const auto& row : p.loss) {
      resource.cost.emplace_back();
      for (std::size_t c = 0; c < row.size(); ++c) {
        resource.cost.back().push_back(zero ? 0 : RandomCost(shape, random));
      }
      if (row.size() > 1 && row[0] == row[1]) resource.cost.back()[1] = resource.cost.back()[0];
    }
    p.resources.push_back(std::move(resource));
  }
  if (shape.cuts) {
    Resource peak;
    peak.name = "peak";
    for (int k = 0; k < layers; ++k) {
      Cut cut;
      cut.name = "cut" + std::to_string(k);
      for (int l = std::max(0, k - 2); l <= k; ++l) {
        if (random.Below(3) == 0) continue;
        CutMember member;
        member.layer = LayerIndex(static_cast<std::size_t>(l));
        const std::int64_t elements = Between(random, 1, 9);
        for (std::size_t c = 0; c < p.loss[static_cast<std::size_t>(l)].size(); ++c) {
          member.cost.push_back(elements * (2 + static_cast<std::int64_t>(c % 3) * 2));
        }
        cut.members.push_back(std::move(member));
      }
      peak.cuts.push_back(std::move(cut));
    }
    p.resources.push_back(std::move(peak));
  }
  const auto count = static_cast<std::size_t>(layers);
  if (shape.transitions) {
    for (std::size_t l = 0; l + 1 < count; ++l) AddPair(shape, l, l + 1, true, random, &p);
    for (std::size_t l = 0; l + 3 < count; l += 2) AddPair(shape, l, l + 3, true, random, &p);
  }
  if (shape.pairs) {
    for (std::size_t n = 0; n < count; ++n) {
      const std::size_t a = random.Below(count);
      const std::size_t b = random.Below(count);
      if (a != b) AddPair(shape, a, b, false, random, &p);
    }
  }
  if (shape.all_pairs) {
    for (std::size_t a = 0; a < count; ++a) {
      for (std::size_t b = a + 1; b < count; ++b) AddPair(shape, a, b, false, random, &p);
    }
  }
  if (shape.ties) {
    const std::size_t groups = 1 + random.Below(2);
    for (std::size_t g = 0; g < groups; ++g) {
      Tie tie;
      tie.name = "tie" + std::to_string(g);
      const int kind = static_cast<int>(random.Below(2));  // 0: both, 1: a part of the choice
      for (std::size_t l = 0; l < count; ++l) {
        if (random.Below(3) != 0) continue;
        tie.layers.emplace_back(l);
        tie.label.emplace_back();
        for (std::size_t c = 0; c < p.loss[l].size(); ++c) {
          tie.label.back().push_back(static_cast<int>(kind == 0 ? c : c % 2));
        }
      }
      p.ties.push_back(std::move(tie));
    }
  }
  if (shape.pins) {
    p.pins.resize(count);
    for (std::size_t l = 0; l < count; ++l) {
      if (random.Below(4) == 0) p.pins[l] = ChoiceIndex(random.Below(p.loss[l].size()));
    }
  }
  // Limits between the least and the largest value met, now and then exactly on a value, or below.
  for (Resource& resource : p.resources) {
    std::vector<std::size_t> c;
    for (const auto& row : p.loss) c.push_back(random.Below(row.size()));
    const std::size_t r = static_cast<std::size_t>(&resource - p.resources.data());
    const std::int64_t value = AddUp(p, c).resources[r];
    const std::uint64_t kind = random.Below(8);
    if (kind < 4) {
      resource.limit = value;
    } else if (kind < 6) {
      resource.limit = value - value / 4;
    } else if (kind == 6) {
      resource.limit = value / 3;
    } else {
      resource.limit = value - 1;
    }
  }
  return p;
}

BruteForceAnswer BruteForce(const AssignmentProblem& problem) {
  BruteForceAnswer answer;
  ForAll(problem, [&](const std::vector<std::size_t>& c) {
    const Sums sums = AddUp(problem, c);
    if (!sums.allowed || !sums.within) return;
    if (answer.feasible && sums.objective >= answer.objective) return;
    answer.feasible = true;
    answer.objective = sums.objective;
    answer.choice.clear();
    for (std::size_t value : c) answer.choice.emplace_back(value);
  });
  return answer;
}

std::vector<BruteForcePoint> FeasiblePoints(const AssignmentProblem& problem) {
  std::vector<BruteForcePoint> points;
  ForAll(problem, [&](const std::vector<std::size_t>& c) {
    Sums sums = AddUp(problem, c);
    if (sums.allowed && sums.within) points.push_back({sums.objective, std::move(sums.resources)});
  });
  return points;
}

std::vector<BruteForcePoint> BruteForceFrontier(const AssignmentProblem& problem,
                                                const std::vector<std::size_t>& resources) {
  std::vector<BruteForcePoint> all;
  for (const BruteForcePoint& point : FeasiblePoints(problem)) {
    BruteForcePoint projected{point.objective, {}};
    for (std::size_t r : resources) projected.resources.push_back(point.resources[r]);
    all.push_back(std::move(projected));
  }
  std::sort(all.begin(), all.end(), [](const BruteForcePoint& a, const BruteForcePoint& b) {
    return a.resources != b.resources ? a.resources < b.resources : a.objective < b.objective;
  });
  std::vector<BruteForcePoint> kept;
  for (const BruteForcePoint& point : all) {
    bool dominated = false;
    for (const BruteForcePoint& other : kept) {
      bool no_worse = other.objective <= point.objective + 1e-9;
      for (std::size_t i = 0; i < point.resources.size(); ++i) {
        no_worse = no_worse && other.resources[i] <= point.resources[i];
      }
      dominated = dominated || no_worse;
    }
    if (!dominated) kept.push_back(point);
  }
  return kept;
}

std::string Describe(const AssignmentProblem& problem) {
  std::ostringstream text;
  text.precision(17);
  for (std::size_t l = 0; l < problem.loss.size(); ++l) {
    text << "layer " << l << ":";
    for (double value : problem.loss[l]) text << ' ' << value;
    text << '\n';
  }
  for (const Resource& resource : problem.resources) {
    text << resource.name << " limit " << (resource.limit ? std::to_string(*resource.limit) : "-")
         << " fixed " << resource.fixed << '\n';
    for (const auto& row : resource.cost) {
      for (std::int64_t value : row) text << ' ' << value;
      text << '\n';
    }
  }
  text << problem.pairs.size() << " pairs, " << problem.ties.size() << " ties\n";
  return text.str();
}

}  // namespace bitsearch
