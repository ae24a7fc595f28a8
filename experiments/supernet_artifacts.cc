#include "experiments/supernet_artifacts.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "experiments/artifact_json.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

Json NumberOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::string CandidateText(const ChoiceGroup& group, std::size_t candidate) {
  const BitChoice& choice = group.candidates[candidate];
  switch (group.kind) {
    case ChoiceGroup::Kind::kWeight:
      return choice.weight.ToString();
    case ChoiceGroup::Kind::kActivation:
      return choice.activation.ToString();
    case ChoiceGroup::Kind::kBoth:
      break;
  }
  return choice.weight.ToString() + "/" + choice.activation.ToString();
}

const char* KindName(ChoiceGroup::Kind kind) {
  switch (kind) {
    case ChoiceGroup::Kind::kWeight:
      return "weight";
    case ChoiceGroup::Kind::kActivation:
      return "activation";
    case ChoiceGroup::Kind::kBoth:
      break;
  }
  return "both";
}

Json GroupsJson(const NamedProblem& named, const DnasResult& found) {
  Json list = Json::array();
  const std::vector<DistributionFigures> figures = FiguresOf(found.probabilities);
  for (std::size_t g = 0; g < found.space.groups.size(); ++g) {
    const ChoiceGroup& group = found.space.groups[g];
    Json layers = Json::array();
    for (const LayerIndex layer : group.layers) layers.push_back(named.layers[layer.value]);
    Json candidates = Json::array();
    for (std::size_t k = 0; k < group.candidates.size(); ++k) {
      candidates.push_back(CandidateText(group, k));
    }
    list.push_back({{"name", group.name},
                    {"kind", KindName(group.kind)},
                    {"layers", layers},
                    {"candidates", candidates},
                    {"probabilities", found.probabilities[g]},
                    {"entropy_nats", figures[g].entropy_nats},
                    {"relative_entropy", figures[g].relative_entropy},
                    {"margin", figures[g].margin},
                    {"argmax", figures[g].argmax}});
  }
  return list;
}

/// A figure in the unit of its column: expectations are no integers.
double InFileUnit(const NamedProblem& named, std::size_t resource, double value) {
  return value / std::pow(10.0, named.decimals[resource]);
}

Json EpochJson(const NamedProblem& named, const DnasEpoch& epoch) {
  Json expected = Json::object();
  for (std::size_t r = 0; r < epoch.expected_resources.size(); ++r) {
    expected[named.problem.resources[r].name] = InFileUnit(named, r, epoch.expected_resources[r]);
  }
  Json relative_entropy = Json::array();
  Json margin = Json::array();
  Json argmax = Json::array();
  for (const DistributionFigures& figures : epoch.distributions) {
    relative_entropy.push_back(figures.relative_entropy);
    margin.push_back(figures.margin);
    argmax.push_back(figures.argmax);
  }
  return {{"epoch", epoch.epoch},
          {"weight_loss_nats", NumberOrNull(epoch.weight_loss)},
          {"architecture_loss_nats", NumberOrNull(epoch.architecture_loss)},
          {"train_top1_percent", epoch.train_top1_percent},
          {"temperature", epoch.temperature},
          {"expected", expected},
          {"relative_entropy", relative_entropy},
          {"margin", margin},
          {"argmax", argmax},
          {"probabilities", epoch.probabilities}};
}

Json ConfigurationsJson(const NamedProblem& named, const SupernetSearch& search) {
  Json list = Json::array();
  for (std::size_t i = 0; i < search.decoded.configs.size(); ++i) {
    const DecodedConfig& decoded = search.decoded.configs[i];
    Json costs = Json::object();
    for (std::size_t r = 0; r < decoded.resources.size(); ++r) {
      costs[named.problem.resources[r].name] =
          named.ValueText(ResourceIndex(r), decoded.resources[r]);
    }
    const Evaluation& evaluation = search.evaluations[i];
    list.push_back({{"origin", decoded.origin},
                    {"configuration", decoded.config.Canonical()},
                    {"log_probability", decoded.log_probability},
                    {"costs", costs},
                    {"samples", evaluation.samples},
                    {"top1_percent", evaluation.top1_percent()},
                    {"loss_nats", NumberOrNull(evaluation.loss_nats)},
                    {"chosen", i == search.chosen}});
  }
  return list;
}

Json CurveList(const std::vector<FineTuneEpoch>& curve) {
  Json list = Json::array();
  for (const FineTuneEpoch& epoch : curve) {
    list.push_back({{"epoch", epoch.epoch},
                    {"train_loss_nats", NumberOrNull(epoch.train_loss_nats)},
                    {"train_top1_percent", epoch.train_top1_percent},
                    {"validation_top1_percent", epoch.validation_top1_percent}});
  }
  return list;
}

}  // namespace

std::string DnasJson(const NamedProblem& named, const DnasSection& section,
                     const SupernetSearch& search) {
  Json limits = Json::object();
  for (std::size_t r = 0; r < named.problem.resources.size(); ++r) {
    const Resource& resource = named.problem.resources[r];
    if (resource.limit) limits[resource.name] = named.ValueText(ResourceIndex(r), *resource.limit);
  }
  Json epochs = Json::array();
  for (const DnasEpoch& epoch : search.found.history) epochs.push_back(EpochJson(named, epoch));
  const Json json = {
      {"format", "bitsearch/dnas/1"},
      {"budget", search.budget},
      {"limits", limits},
      {"warmup_epochs", section.options.warmup_epochs},
      {"stopped_early", search.found.stopped_early},
      {"warnings", search.found.warnings},
      {"groups", GroupsJson(named, search.found)},
      {"epochs", epochs},
      {"argmax",
       {{"configuration", search.decoded.argmax.Canonical()},
        {"within_limits", search.decoded.argmax_within_limits}}},
      {"exact_status", NameOf(search.decoded.exact.status)},
      {"evaluated_with", search.with_supernet_weights ? "supernet weights" : "quantized model"},
      {"configurations", ConfigurationsJson(named, search)}};
  return json.dump(1) + "\n";
}

std::string FineTuneJson(const std::vector<TunedLine>& lines) {
  Json list = Json::array();
  for (const TunedLine& line : lines) {
    list.push_back({{"budget", line.budget},
                    {"line", line.line},
                    {"configuration", line.config.Canonical()},
                    {"start", line.from_supernet ? "supernet" : "model"},
                    {"epochs", line.epochs},
                    {"curve", CurveList(line.curve)},
                    {"samples", line.evaluation.samples},
                    {"correct", line.evaluation.correct},
                    {"top1_percent", line.evaluation.top1_percent()},
                    {"loss_nats", NumberOrNull(line.evaluation.loss_nats)}});
  }
  return Json{{"format", "bitsearch/finetune/1"}, {"lines", list}}.dump(1) + "\n";
}

std::string CurveJson(const std::vector<FineTuneEpoch>& curve) { return CurveList(curve).dump(); }

std::vector<FineTuneEpoch> ParseCurveJson(const std::string& text) {
  const JsonValue json = ParseArtifact(text, "a curve of the journal", ErrorId::kRunDamaged);
  std::vector<FineTuneEpoch> curve;
  for (const JsonValue& item : json.Elements()) {
    curve.push_back({static_cast<int>(item.At("epoch").Count()),
                     item.At("train_loss_nats").Number(), item.At("train_top1_percent").Number(),
                     item.At("validation_top1_percent").Number()});
  }
  return curve;
}

}  // namespace bitsearch
