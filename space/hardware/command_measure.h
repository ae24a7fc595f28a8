#pragma once
// The command backend: any program that runs a model and prints how long it took. It knows whole
// networks only, so a layer's time is the difference that quantizing it makes. Must not know how a
// model is quantized: a writer is given.

#include <string>
#include <utility>
#include <vector>

#include "space/hardware/latency_backend.h"
#include "space/hardware/onnxruntime_measure.h"

namespace bitsearch {

/// Measures with a user's command.
///
/// For each choice the layers are given it one after the other, in network order (layers that read
/// one tensor together): the difference to the network before is what the choice saves or costs
/// there. As one boundary between the formats moves through the network, its own cost cancels. The
/// first choice is the reference: each layer has there what it saves at most elsewhere, and what
/// is left of the whole time is shared out by multiply-accumulates. So differences between choices
/// and the sums of each are as measured.
class CommandBackend : public LatencyBackend {
 public:
  /// `command` is split at blanks; "{model}" stands for the file, which is the last argument where
  /// it is left out. Several numbers that it prints, one a line, are several samples, in seconds.
  CommandBackend(std::string command, std::vector<BitChoice> choices, ModelWriter writer)
      : command_(std::move(command)), choices_(std::move(choices)), writer_(std::move(writer)) {}

  std::string_view name() const override { return "command"; }
  std::vector<BitChoice> SupportedChoices() const override { return choices_; }
  /// Runs the command `options.repetitions` times on each of 1 + (choices − 1) · layers models, in
  /// rounds. Throws Error(kRuntimeMissing) where it cannot be started, Error(kRuntimeFailed) where
  /// it fails or prints no numbers, and what the writer throws.
  Measurement Measure(const LayerGraph& graph, const std::string& model_path,
                      const MeasureOptions& options, const RunContext& context) override;

 private:
  std::string command_;
  std::vector<BitChoice> choices_;
  ModelWriter writer_;
};

/// The program and its arguments for one model.
std::vector<std::string> CommandFor(const std::string& command, const std::string& model);

/// The numbers that a program printed, one a line; blank lines are left out. Throws
/// Error(kRuntimeFailed) naming the line for anything else, and for no number at all.
std::vector<double> ParseSeconds(const std::string& output, const std::string& program);

}  // namespace bitsearch
