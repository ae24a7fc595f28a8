#pragma once
// Readers of an experiment's sections: the keys of each, their ranges, and what contradicts within
// it. What one section says about another is experiment_reader.cc's. Errors are noted in the
// node's file.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "experiments/experiment.h"
#include "space/support/yaml_reader.h"

namespace bitsearch {

/// What the relative paths of one file are relative to.
class ExperimentPaths {
 public:
  explicit ExperimentPaths(std::filesystem::path folder) : folder_(std::move(folder)) {}
  /// A value from the command line (it has no line) is relative to the working directory.
  std::filesystem::path Resolve(const YamlNode& node, const std::filesystem::path& path) const;
  /// The path that a scalar holds; empty where it is absent.
  std::filesystem::path Read(const YamlNode& node) const;

 private:
  std::filesystem::path folder_;
};

/// A list of distinct names out of `known`.
std::vector<std::string> ReadNames(const YamlNode& node, std::vector<std::string> fallback,
                                   const std::vector<std::string>& known);

void ReadDataSection(const YamlNode& node, const ExperimentPaths& paths, Experiment& experiment);
/// `space`, `quantizer` and `calibration`.
void ReadQuantizationSections(const YamlNode& root, Experiment& experiment);
/// `sensitivity`, `costs`, `budgets`, `goal`, `search`, `baselines` and `finetune`.
void ReadSearchSections(const YamlNode& root, const ExperimentPaths& paths, Experiment& experiment);

}  // namespace bitsearch
