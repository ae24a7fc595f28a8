#include "experiments/command_line/data_options.h"

#include "experiments/command_line/option_checks.h"

namespace bitsearch {

void AddNormalisationOptions(CLI::App& command, NormalisationOptions& options) {
  command
      .add_option("--mean", options.mean,
                  "Subtracted from x/255 (of .npy floats: from x); one value, or one per channel")
      ->delimiter(',')
      ->check(NumberText())
      ->capture_default_str();
  command.add_option("--std", options.std, "Divides after that; one value, or one per channel")
      ->delimiter(',')
      ->check(NumberText())
      ->capture_default_str();
}

Dataset LoadData(const std::string& spec, const NormalisationOptions& normalisation,
                 std::int64_t samples, std::int64_t first) {
  DataSpec parsed = DataSpec::Parse(spec);
  parsed.mean = normalisation.mean;
  parsed.std = normalisation.std;
  parsed.first = first;
  parsed.samples = samples;
  return Dataset::Load(parsed);
}

}  // namespace bitsearch
