#pragma once
// An Evaluator that keeps every result in the run's journal: what was evaluated before a kill is
// not evaluated again. A decorator; knows neither network nor data.

#include <functional>
#include <memory>
#include <string>

#include "experiments/pipeline.h"
#include "space/choices/evaluator.h"

namespace bitsearch {

/// Makes the evaluator behind; called once, and only if something is not in the journal yet.
using EvaluatorFactory = std::function<std::unique_ptr<Evaluator>()>;

/// Not thread-safe. `scope` must outlive it.
class JournalledEvaluator : public Evaluator {
 public:
  /// `split` tells apart what is evaluated on different records within one stage.
  JournalledEvaluator(StageScope& scope, std::string split, EvaluatorFactory make)
      : scope_(scope), split_(std::move(split)), make_(std::move(make)) {}

  /// One at a time; Error(kInterrupted) between two after a stop request.
  std::vector<Evaluation> Evaluate(std::span<const BitConfig> configs) override;

 private:
  StageScope& scope_;
  std::string split_;
  EvaluatorFactory make_;
  std::unique_ptr<Evaluator> inner_;
};

}  // namespace bitsearch
