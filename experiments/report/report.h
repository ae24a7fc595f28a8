#pragma once
// The report of a run: one HTML page that opens offline, and its summary as Markdown. What is said
// in both (facts) is computed once. Reads artifacts only; must not compute what a stage should.

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bitsearch {

/// Where a report's files come from.
struct ReportSource {
  std::string title;
  /// Every artifact that is there, by name; those that a report does not use are left alone.
  std::vector<std::string> names;
  /// An artifact's text, for each of `names`.
  std::function<std::string(const std::string&)> read;
  /// Where the artifacts lie, for messages; may be empty.
  std::filesystem::path folder;
  /// Describes the records that figures come from: runs are compared record by record only where
  /// these are equal and not empty.
  std::string records;
};

/// What a page embeds of a run.
struct ReportData {
  /// `{title, files: {name: …}, facts: {…}}`. `files` holds the artifacts themselves: JSON as it
  /// is, CSV as text. Left out: layers' quantizers, transitions that cost nothing, and frontier
  /// points beyond kMostFrontierPoints.
  nlohmann::ordered_json json;
  /// By budget: which records the chosen configuration gets right.
  std::map<std::string, std::vector<bool>> correct;
  std::string records;
};

/// Points of all frontiers of a page together. Those at the budgets and the ends are always there.
inline constexpr std::size_t kMostFrontierPoints = 500;

/// Reads and checks. Throws Error(kJsonSyntax), Error(kFormatVersion), Error of class kData for
/// CSV, each with the artifact's name and place.
ReportData ReadReportData(const ReportSource& source);

/// How a page that is written while the run goes on differs.
struct LiveState {
  bool running = false;
  /// Stages with the items that they have done and the seconds that they took: `{stage: {…}}`.
  nlohmann::ordered_json stages = nlohmann::ordered_json::object();
  int reload_seconds = 0;  ///< 0: the page does not reload itself.
};

/// The page of one run, or of two beside each other (the first is what the second is compared to).
std::string ReportHtml(const std::vector<ReportData>& runs, const LiveState& live = {});

/// The summary: the choice, what limits it, what more budget would buy, how sure it is, the table.
std::string ReportMarkdown(const ReportData& data);

/// Changes when the page's template, style or script do, so that a resume writes old pages anew.
std::string ReportTemplateHash();

}  // namespace bitsearch
