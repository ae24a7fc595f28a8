#pragma once
// The report of a run: one HTML page that opens offline. Reads artifacts only.

#include <functional>
#include <string>
#include <vector>

namespace bitsearch {

/// Names of the artifacts that differ from run to run.
struct ReportInputs {
  std::vector<std::string> configs;  ///< One per budget, in order.
  std::vector<std::string> frontiers;
};

/// The page. `read` gives an artifact's text by name: results.json, sensitivity.csv and those of
/// `inputs`. Throws Error(kJsonSyntax), Error(kFormatVersion) where one cannot be read.
std::string ReportHtml(const std::string& title, const ReportInputs& inputs,
                       const std::function<std::string(const std::string&)>& read);

}  // namespace bitsearch
