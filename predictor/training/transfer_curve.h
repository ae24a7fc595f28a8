#pragma once
// The transfer curve: how well unseen candidates are ranked after n expensive measurements, from
// scratch and with what cheap ones taught, over several splits. Must not know files or networks.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "predictor/training/transfer_predictor.h"

namespace bitsearch {

/// Cheap and expensive measurements. Rows with the same group number are never split: neither cheap
/// nor expensive rows of a tested group are trained on.
struct TransferProblem {
  Encoding encoding;
  SourceRows source;
  std::vector<int> source_groups;
  TrainingRows target;
  std::vector<int> target_groups;
  /// Whether the cheap measurements saw the bits (SourceOptions::with_bits).
  bool source_sees_bits = false;
  BitSummaries summaries;
  /// Pairs of expensive rows about which a question of its own is asked; both of one group.
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  /// A score of every expensive row that needs no training (the cheap measurement itself, the mean
  /// bits, …) as a line of its own; may be empty.
  std::vector<double> reference;
  std::string reference_name;
};

/// What is compared.
enum class TransferMethod : std::uint8_t {
  kScratch,             ///< APQ's network on the expensive rows alone.
  kTransferred,         ///< Its weights carried over from cheap rows, tuned by squared error.
  kTransferredRanking,  ///< The same, tuned by squared error and ranking loss, half each.
  kProcessScratch,      ///< The Gaussian process without a source.
  kProcess,             ///< TransferPredictor.
  kReference,           ///< TransferProblem::reference.
};
std::string_view NameOf(TransferMethod method);

struct TransferCurveOptions {
  std::vector<std::size_t> samples = {50, 100, 200, 500, 1000, 2000};
  int splits = 5;
  double tested_share = 0.2;  ///< Of the groups of expensive rows.
  std::vector<TransferMethod> methods = {TransferMethod::kScratch,
                                         TransferMethod::kTransferred,
                                         TransferMethod::kTransferredRanking,
                                         TransferMethod::kProcessScratch,
                                         TransferMethod::kProcess,
                                         TransferMethod::kReference};
  SourceOptions source;
  GaussianProcessOptions process;
  /// APQ's network on cheap rows (the first kind of measurement), and on expensive ones.
  PerceptronTraining pretraining{
      .width = 400, .steps = 3000, .batch_rows = 256, .learning_rate = 1e-3, .weight_decay = 1e-5};
  PerceptronTraining scratch{
      .width = 400, .steps = 400, .batch_rows = 128, .learning_rate = 1e-3, .weight_decay = 1e-5};
  double tuning_rate = 5e-4;  ///< Learning rate of transferred networks.
};

/// One method after one number of samples on one split.
struct CurvePoint {
  TransferMethod method = TransferMethod::kScratch;
  std::size_t samples = 0;
  int split = 0;
  FitQuality quality;
  /// Share of TransferProblem::pairs in the right order, ties half; NaN where none is tested.
  double pairs_right = 0.0;
  double pairs_tied = 0.0;  ///< Share of them that are tied.
};

/// A paired comparison of pairwise accuracies over splits.
struct MethodComparison {
  TransferMethod better = TransferMethod::kTransferred;
  TransferMethod worse = TransferMethod::kScratch;
  std::size_t samples = 0;
  double mean_difference = 0.0;
  double p_value = 1.0;  ///< Two-sided, corrected resampled t-test (Nadeau and Bengio 2003).
};

struct TransferCurve {
  std::vector<CurvePoint> points;
  std::vector<MethodComparison> comparisons;  ///< Against kScratch; with 2 splits at least.
  double tested_share = 0.0;
};

/// Measures the curve. Numbers of samples beyond what a split has are left out. Cheap accuracies of
/// tested groups are never read. Deterministic given context.root_seed; throws what training
/// throws, Error(kPredictorData) where no number of samples is left.
TransferCurve MeasureTransferCurve(const TransferProblem& problem,
                                   const TransferCurveOptions& options, const RunContext& context);

/// JSON `bitsearch/transfer-curve/1`: docs/predictor.md.
std::string TransferCurveJson(const TransferCurve& curve, const std::string& reference_name);
/// The means over splits as text, a line per method and number of samples.
std::string TransferCurveText(const TransferCurve& curve, const std::string& reference_name);

}  // namespace bitsearch
