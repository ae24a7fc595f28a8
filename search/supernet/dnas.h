#pragma once
// Differentiable architecture search over bit-widths: a supernet whose layers mix all candidate
// roundings, trained for weights and for distributions at once. Torch-free header; see dnas.cc.
//
// Wu et al., "Mixed Precision Quantization of ConvNets via Differentiable Neural Architecture
// Search" (2018); Cai and Vasconcelos, "Rethinking Differentiable Search for Mixed-Precision Neural
// Networks" (CVPR 2020) for the composite form.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "search/assignment_problem.h"
#include "search/supernet/architecture_space.h"
#include "search/supernet/distribution_diagnostics.h"
#include "search/supernet/learned_quantizers.h"
#include "space/graph/layer_graph.h"
#include "space/network/dataset.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// How a step mixes the candidates. In every mode one convolution of mixed weights and mixed
/// activations runs, which by bilinearity equals all pairs of branches.
enum class SupernetMode : std::uint8_t {
  kComposite,   ///< Mixed by softmax(θ) (EdMIPS): no noise.
  kGumbelSoft,  ///< DNAS: mixed by softmax((θ + Gumbel noise)/τ).
  kGumbelHard,  ///< One candidate forward, the soft mask's gradient backward.
  kSinglePath,  ///< One candidate drawn from softmax(θ); θ learns by score function (REINFORCE).
};

/// A term of the search's loss.
struct SearchCostTerm {
  enum class Kind : std::uint8_t {
    kMultiplicative,  ///< The loss is multiplied by weight · (ln cost)^exponent (DNAS).
    kAdditive,        ///< Plus weight · cost/scale (EdMIPS).
    kHinge,           ///< Plus weight · max(0, cost/scale − 1).
  };
  Kind kind = Kind::kHinge;
  std::string resource;   ///< A resource of the problem, by name.
  double weight = 1.0;    ///< β, or λ.
  double exponent = 0.9;  ///< γ.
  /// In the resource's unit; 0: its limit, or (additive, unlimited) the dearest configuration.
  double scale = 0.0;
};

struct DnasOptions {
  SupernetMode mode = SupernetMode::kGumbelSoft;
  ChoiceScope scope = ChoiceScope::kLayer;
  int epochs = 10;
  /// Epochs in which θ is frozen and only weights learn.
  int warmup_epochs = 1;
  std::int64_t batch_size = 64;
  /// True: weights learn on the first part of the images, θ on the rest, one phase after the other
  /// in every epoch. False: both on all images in the same step.
  bool bilevel = true;
  double architecture_share = 0.2;  ///< Of the images; bilevel only.
  double weight_rate = 0.02;        ///< SGD, half a cosine over the epochs.
  double momentum = 0.9;
  double weight_decay = 1e-4;
  double architecture_rate = 0.02;  ///< Adam.
  double architecture_decay = 0.0;
  double temperature = 5.0;  ///< τ = temperature · exp(−temperature_decay · epoch).
  double temperature_decay = 0.025;
  std::vector<SearchCostTerm> terms;
  /// Stop once every argmax has been the same for this many epochs of learning θ; 0: never.
  int stable_epochs = 0;
  LearnedQuantizerOptions quantizers;
  int crop_padding = 4;
  bool flip = true;
  std::string device = "cpu";
  std::filesystem::path checkpoint;  ///< After every epoch; empty: none.
  bool resume = false;
};

/// One epoch of the search.
struct DnasEpoch {
  int epoch = 0;
  double weight_loss = 0.0;        ///< Cross-entropy and cost terms, as trained.
  double architecture_loss = 0.0;  ///< 0 during warm-up.
  double train_top1_percent = 0.0;
  double temperature = 0.0;
  std::vector<double> expected_resources;          ///< Under softmax(θ).
  std::vector<std::vector<double>> probabilities;  ///< [group][candidate]
  std::vector<DistributionFigures> distributions;  ///< By group.
};

/// What a search learned. Decoding it into configurations is decode.h's job.
struct DnasResult {
  ArchitectureSpace space;
  std::vector<std::vector<double>> probabilities;  ///< [group][candidate]
  std::vector<DnasEpoch> history;
  std::vector<std::string> warnings;
  bool stopped_early = false;
  LayerGraph graph;  ///< The network with the supernet's weights: fine-tuning may start from it.
};

/// Searches. `graph` keeps its BN; `choices` and `problem` describe the candidates of its layers
/// and their costs, limits and ties (problem.loss is not read; `ties` are the same ties as the
/// problem's, in the graph's terms). Deterministic for (context.root_seed, options) at one thread;
/// after an interruption it resumes to the same result. Throws Error: kUsage, kTrainingDiverged,
/// kCheckpoint, kInterrupted.
DnasResult SearchDnas(const LayerGraph& graph, const std::vector<std::vector<BitChoice>>& choices,
                      const std::vector<TieGroup>& ties, const AssignmentProblem& problem,
                      const Dataset& train, const DnasOptions& options, const RunContext& context);

}  // namespace bitsearch
