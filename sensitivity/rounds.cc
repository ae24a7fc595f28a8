#include "sensitivity/rounds.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "space/support/error.h"

namespace bitsearch {
namespace {

using Clock = std::chrono::steady_clock;

bool Converged(const std::vector<TraceObservation>& observations, const TraceStopping& stopping) {
  if (stopping.relative_error <= 0.0) return false;
  const TraceEstimate estimate = Summarise(observations, 0);
  return estimate.probe_standard_error <= stopping.relative_error * std::abs(estimate.trace);
}

// One task: some rounds of one batch, of one layer or of all.
struct Task {
  std::vector<LayerIndex> layers;
  std::int64_t batch = 0;
  std::vector<std::vector<TraceObservation>> result;
};

}  // namespace

std::vector<TraceObservation> RunRounds(const RoundPlan& plan, const TraceJournal& journal,
                                        const RunContext& context,
                                        const ParallelFor& parallel_for) {
  const TraceStopping& stopping = plan.stopping;
  if (stopping.least_rounds < 1 || stopping.most_rounds < stopping.least_rounds) {
    throw Error(ErrorId::kUsage, "rounds from " + std::to_string(stopping.least_rounds) + " to " +
                                     std::to_string(stopping.most_rounds) + " are none")
        .Hint("allowed: 1 ≤ least ≤ most");
  }
  const Clock::time_point start = Clock::now();
  std::vector<std::vector<TraceObservation>> by_layer(plan.layers.size());
  std::vector<bool> open(plan.layers.size(), true);
  std::int64_t first = 0;
  std::int64_t end = stopping.least_rounds;
  while (std::find(open.begin(), open.end(), true) != open.end()) {
    std::vector<Task> tasks;
    std::map<LayerIndex, std::size_t> position;
    std::vector<LayerIndex> group;
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
      position[plan.layers[i]] = i;
      if (!open[i]) continue;
      if (plan.together) {
        group.push_back(plan.layers[i]);
        continue;
      }
      for (std::int64_t b = 0; b < plan.batch_count; ++b) tasks.push_back({{plan.layers[i]}, b, {}});
    }
    for (std::int64_t b = 0; b < plan.batch_count && plan.together; ++b) {
      tasks.push_back({group, b, {}});
    }
    // A task whose every observation is in the journal is not run again.
    std::vector<Task*> missing;
    for (Task& task : tasks) {
      bool complete = static_cast<bool>(journal.known);
      for (std::size_t i = 0; i < task.layers.size() && complete; ++i) {
        task.result.emplace_back();
        for (std::int64_t round = first; round < end && complete; ++round) {
          const auto seen = journal.known({task.layers[i], plan.of, task.batch, round});
          complete = seen.has_value();
          if (complete) task.result.back().push_back(*seen);
        }
      }
      if (!complete) missing.push_back(&task);
    }
    // A few tasks at a time, so that little is lost when the run is killed.
    const auto chunk = static_cast<std::size_t>(std::max(1, 2 * context.threads));
    for (std::size_t at = 0; at < missing.size(); at += chunk) {
      const std::size_t stop = std::min(missing.size(), at + chunk);
      parallel_for(static_cast<std::int64_t>(stop - at), [&](std::int64_t t) {
        Task& task = *missing[at + static_cast<std::size_t>(t)];
        task.result = plan.observe(task.layers, task.batch, first, end);
      });
      for (std::size_t t = at; t < stop && journal.record; ++t) {
        for (const auto& of_layer : missing[t]->result) {
          for (const TraceObservation& seen : of_layer) journal.record(seen);
        }
      }
      context.progress->Progress("traces", static_cast<std::int64_t>(stop),
                                 static_cast<std::int64_t>(missing.size()));
    }
    for (const Task& task : tasks) {
      for (std::size_t i = 0; i < task.layers.size(); ++i) {
        auto& all = by_layer[position[task.layers[i]]];
        all.insert(all.end(), task.result[i].begin(), task.result[i].end());
      }
    }
    const std::chrono::duration<double> passed = Clock::now() - start;
    const bool out_of_time = stopping.time_limit_s > 0.0 && passed.count() >= stopping.time_limit_s;
    bool all_converged = true;
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
      if (!open[i]) continue;
      const bool converged = Converged(by_layer[i], stopping);
      all_converged = all_converged && converged;
      if (!plan.together && converged) open[i] = false;
    }
    if (all_converged || out_of_time || end >= stopping.most_rounds) break;
    first = end;
    end = std::min(stopping.most_rounds, end + std::max<std::int64_t>(1, end / 2));
  }
  std::vector<TraceObservation> result;
  for (auto& of_layer : by_layer) {
    std::sort(of_layer.begin(), of_layer.end(), [](const auto& a, const auto& b) {
      return std::pair(a.key.round, a.key.batch) < std::pair(b.key.round, b.key.batch);
    });
    result.insert(result.end(), of_layer.begin(), of_layer.end());
  }
  return result;
}

}  // namespace bitsearch
