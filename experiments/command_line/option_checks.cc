// Strict numbers for the command line. Must not know any command.
#include "experiments/command_line/option_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <sstream>

#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {

CLI::Validator IntegerText(std::int64_t min, std::int64_t max) {
  const std::string allowed = fmt::format("an integer from {} to {}", min, max);
  return CLI::Validator(
      [=](const std::string& text) -> std::string {
        std::int64_t value = 0;
        const char* end = text.data() + text.size();
        const auto [stopped, status] = std::from_chars(text.data(), end, value);
        const std::size_t first = text.starts_with('-') ? 1 : 0;
        const bool leading_zero = text.size() > first + 1 && text[first] == '0';
        if (status == std::errc() && stopped == end && !leading_zero && value >= min &&
            value <= max) {
          return {};
        }
        return fmt::format("got \"{}\", allowed {}{}", text, allowed,
                           leading_zero ? " without leading zeros" : "");
      },
      "", "integer");
}

CLI::Validator NameText(std::vector<std::string> names) {
  const std::string allowed = fmt::format("{}", fmt::join(names, ", "));
  return CLI::Validator(
      [=](const std::string& text) -> std::string {
        for (const std::string& name : names) {
          if (name == text) return {};
        }
        const std::string nearest = NearestName(text, names);
        return fmt::format("got \"{}\", allowed {}{}", text, allowed,
                           nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest));
      },
      "", "name");
}

Placement PlacementNamed(const std::string& text) {
  const auto placement = ParsePlacement(text);
  if (placement) return *placement;
  throw Error(ErrorId::kUsage, "'" + text + "' is no placement")
      .Key("--placement")
      .Hint("weights_only, layer_inputs, runtime or integer");
}

std::vector<CalibrationStep> CalibrationStepsOf(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream stream(text);
  for (std::string name; text != "none" && std::getline(stream, name, ',');) names.push_back(name);
  try {
    return ParseCalibrationSteps(names);
  } catch (const Error& error) {
    throw Error(error).Key("--calibration-steps");
  }
}

std::string CalibrationStepsHelp() {
  std::string text = "Steps with commas between, or none:";
  for (const CalibrationStepInfo& info : CalibrationStepTable()) text += " " + info.name;
  return text;
}

void RequireWritable(const std::filesystem::path& path) {
  if (path.empty()) return;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return;
  throw Error(ErrorId::kFileWrite,
              fmt::format("cannot write into the folder ({})", std::strerror(errno)))
      .At({path.string()})
      .Hint("check that the folder exists and is writable");
}

CLI::Validator NumberText(double min, double max) {
  std::string allowed = "a finite number";
  if (min > std::numeric_limits<double>::lowest()) allowed += fmt::format(", at least {}", min);
  if (max < std::numeric_limits<double>::max()) allowed += fmt::format(", at most {}", max);
  return CLI::Validator(
      [=](const std::string& text) -> std::string {
        double value = 0.0;
        const char* end = text.data() + text.size();
        const auto [stopped, status] = std::from_chars(text.data(), end, value);
        if (status == std::errc() && stopped == end && std::isfinite(value) && value >= min &&
            value <= max) {
          return {};
        }
        return fmt::format("got \"{}\", allowed {}", text, allowed);
      },
      "", "number");
}

}  // namespace bitsearch
