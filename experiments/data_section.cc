// The `data` section: which records serve what, and that they are apart.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "experiments/experiment_sections.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

std::vector<float> Channels(const YamlNode& node, std::vector<float> fallback, bool positive) {
  if (!node.present()) return fallback;
  NumberRange range;
  if (positive) range = {0.0, range.max, true};
  const auto number = [&](const YamlNode& item) {
    return static_cast<float>(item.Number(positive ? 1.0 : 0.0, range));
  };
  if (node.is_scalar()) return {number(node)};
  std::vector<float> values;
  for (const YamlNode& item : node.Items()) values.push_back(number(item));
  if (values.empty() && node.is_list()) {
    node.Fail(Error(ErrorId::kYamlRange, "got an empty list")
                  .Hint("write one value for all channels, or one per channel"));
  }
  return values.empty() ? fallback : values;
}

/// A split is a SPEC, or a map with `source`, `first`, `samples`, `mean`, `std`.
std::optional<DataSpec> Split(const YamlNode& data, const std::string& key,
                              const ExperimentPaths& paths, Experiment& experiment) {
  const YamlNode node = data[key];
  if (!node.present()) return std::nullopt;
  experiment.places["data." + key] = node.location();
  const bool plain = node.is_scalar();
  const YamlNode own_source = plain ? node : node["source"];
  const YamlNode source = own_source.present() ? own_source : data["source"];
  DataSpec spec;
  if (!source.present()) {
    own_source.Required();
  } else if (const std::string text = source.String(); text.empty()) {
    if (source.is_scalar()) {
      source.Fail(Error(ErrorId::kYamlRange, "got an empty text")
                      .Hint("write cifar10:FILE, idx:IMAGES,LABELS or npy:X,Y"));
    }
  } else {
    try {
      spec = DataSpec::Parse(text);
    } catch (const Error& error) {
      source.Fail(error);
    }
    for (fs::path& path : spec.paths) path = paths.Resolve(source, path);
  }
  spec.mean = Channels(data["mean"], {0.0F}, false);
  spec.std = Channels(data["std"], {1.0F}, true);
  if (!plain) {
    spec.mean = Channels(node["mean"], spec.mean, false);
    spec.std = Channels(node["std"], spec.std, true);
  }
  if (plain) return spec;
  constexpr std::int64_t kMostRecords = std::int64_t{1} << 40;  // sums of two stay integers
  spec.first = node["first"].Integer(0, {0, kMostRecords});
  if (node["samples"].present()) spec.samples = node["samples"].Integer(-1, {1, kMostRecords});
  return spec;
}

bool Overlap(const DataSpec& a, const DataSpec& b) {
  const auto same = [](const fs::path& one, const fs::path& other) {
    std::error_code missing;  // links and other spellings lead to one file
    return one == other || fs::equivalent(one, other, missing);
  };
  const bool shared = std::any_of(a.paths.begin(), a.paths.end(), [&](const fs::path& path) {
    return std::any_of(b.paths.begin(), b.paths.end(),
                       [&](const fs::path& other) { return same(path, other); });
  });
  if (!shared) return false;
  if (!std::equal(a.paths.begin(), a.paths.end(), b.paths.begin(), b.paths.end(), same))
    return true;
  const auto end = [](const DataSpec& spec) {
    return spec.samples < 0 ? std::numeric_limits<std::int64_t>::max() : spec.first + spec.samples;
  };
  return a.first < end(b) && b.first < end(a);
}

void CheckOverlap(const YamlNode& node, const DataSection& data) {
  if (!data.report.has_value()) return;
  const std::vector<std::pair<std::string, const std::optional<DataSpec>*>> others = {
      {"train", &data.train}, {"calibration", &data.calibration}, {"search", &data.search}};
  for (const auto& [name, spec] : others) {
    if (!spec->has_value() || !Overlap(**spec, *data.report)) continue;
    node["report"].Fail(
        Error(ErrorId::kDataOverlap, fmt::format("shares records with data.{}", name))
            .Hint("figures must come from records that no choice was made on: set \"first\" and "
                  "\"samples\" so that the two are apart"));
  }
}

}  // namespace

void ReadDataSection(const YamlNode& node, const ExperimentPaths& paths, Experiment& experiment) {
  node.Required();
  DataSection& data = experiment.data;
  // Known even where no split falls back on them.
  for (const char* key : {"source", "mean", "std"}) (void)node[key];
  data.train = Split(node, "train", paths, experiment);
  data.validation = Split(node, "validation", paths, experiment);
  data.calibration = Split(node, "calibration", paths, experiment);
  data.search = Split(node, "search", paths, experiment);
  data.report = Split(node, "report", paths, experiment);
  CheckOverlap(node, data);
}

}  // namespace bitsearch
