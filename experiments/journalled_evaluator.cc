#include "experiments/journalled_evaluator.h"

#include "experiments/result_table.h"

namespace bitsearch {

std::vector<Evaluation> JournalledEvaluator::Evaluate(std::span<const BitConfig> configs) {
  std::vector<Evaluation> evaluations;
  for (const BitConfig& config : configs) {
    evaluations.push_back(ParseEvaluationJson(scope_.Item(split_ + " " + config.Canonical(), [&] {
      if (inner_ == nullptr) inner_ = make_();
      return EvaluationJson(inner_->Evaluate({&config, 1}).front());
    })));
  }
  return evaluations;
}

}  // namespace bitsearch
