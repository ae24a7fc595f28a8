#include "search/supernet/dnas.h"

#include <cmath>
#include <cstdio>
#include <sstream>
#include <utility>

#include "search/supernet/supernet_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

// Everything a checkpoint must agree on to be continued.
std::string Fingerprint(const DnasOptions& o, const ArchitectureSpace& space, const Dataset& train,
                        std::uint64_t seed) {
  std::ostringstream text;
  text.precision(17);
  text << "dnas|" << static_cast<int>(o.mode) << '|' << static_cast<int>(o.scope) << '|' << o.epochs
       << '|' << o.warmup_epochs << '|' << o.batch_size << '|' << o.bilevel << '|'
       << o.architecture_share << '|' << o.weight_rate << '|' << o.momentum << '|' << o.weight_decay
       << '|' << o.architecture_rate << '|' << o.architecture_decay << '|' << o.temperature << '|'
       << o.temperature_decay << '|' << o.stable_epochs << '|' << o.crop_padding << '|' << o.flip
       << '|' << train.size() << '|' << seed;
  for (const SearchCostTerm& t : o.terms) {
    text << '|' << static_cast<int>(t.kind) << ',' << t.resource << ',' << t.weight << ','
         << t.exponent << ',' << t.scale;
  }
  for (const ChoiceGroup& group : space.groups) {
    text << '|' << group.name;
    for (const BitChoice& choice : group.candidates) text << ',' << choice.ToString();
  }
  return text.str();
}

// A row of the history: five figures, the resources, the probabilities of all groups.
std::vector<double> ToRow(const DnasEpoch& epoch) {
  std::vector<double> row = {static_cast<double>(epoch.epoch), epoch.weight_loss,
                             epoch.architecture_loss, epoch.train_top1_percent, epoch.temperature};
  row.insert(row.end(), epoch.expected_resources.begin(), epoch.expected_resources.end());
  for (const auto& group : epoch.probabilities) row.insert(row.end(), group.begin(), group.end());
  return row;
}

DnasEpoch FromRow(const std::vector<double>& row, const ArchitectureSpace& space,
                  std::size_t resources) {
  DnasEpoch epoch{static_cast<int>(row[0]), row[1], row[2], row[3], row[4], {}, {}, {}};
  auto at = row.begin() + 5;
  epoch.expected_resources.assign(at, at + static_cast<std::ptrdiff_t>(resources));
  at += static_cast<std::ptrdiff_t>(resources);
  for (const ChoiceGroup& group : space.groups) {
    const auto end = at + static_cast<std::ptrdiff_t>(group.candidates.size());
    epoch.probabilities.emplace_back(at, end);
    at = end;
  }
  epoch.distributions = FiguresOf(epoch.probabilities);
  return epoch;
}

// How many epochs at the end of the history, all of them learning θ, agree in every argmax.
int StableEpochs(const std::vector<DnasEpoch>& history, int warmup_epochs) {
  const auto same = [](const DnasEpoch& a, const DnasEpoch& b) {
    for (std::size_t g = 0; g < a.distributions.size(); ++g) {
      if (a.distributions[g].argmax != b.distributions[g].argmax) return false;
    }
    return true;
  };
  int stable = 0;
  for (auto epoch = history.rbegin(); epoch != history.rend(); ++epoch) {
    if (epoch->epoch <= warmup_epochs || !same(*epoch, history.back())) break;
    ++stable;
  }
  return stable;
}

std::string LogLine(const DnasEpoch& epoch, const ArchitectureSpace& space, int epochs) {
  double entropy = 0.0;
  double margin = 0.0;
  double open = 0.0;
  for (std::size_t g = 0; g < space.group_count(); ++g) {
    if (space.groups[g].candidates.size() < 2) continue;
    open += 1.0;
    entropy += epoch.distributions[g].relative_entropy;
    margin += epoch.distributions[g].margin;
  }
  char line[240];
  std::snprintf(line, sizeof line,
                "search epoch %d/%d: weight loss %.4f, architecture loss %.4f, top-1 %.2f %%, "
                "relative entropy %.3f, argmax margin %.3f",
                epoch.epoch, epochs, epoch.weight_loss, epoch.architecture_loss,
                epoch.train_top1_percent, open > 0 ? entropy / open : 0.0,
                open > 0 ? margin / open : 1.0);
  return line;
}

void CheckOptions(const DnasOptions& o) {
  const auto fail = [](const std::string& what, const std::string& key) {
    throw Error(ErrorId::kUsage, what).Key(key);
  };
  if (o.epochs < 1) fail("at least one epoch", "epochs");
  if (o.warmup_epochs < 0 || o.warmup_epochs > o.epochs) fail("0 to all epochs", "warmup_epochs");
  if (o.batch_size < 1) fail("at least 1", "batch_size");
  if (o.bilevel && !(o.architecture_share > 0.0 && o.architecture_share < 1.0)) {
    fail("between 0 and 1", "architecture_share");
  }
  if (!(o.temperature > 0.0)) fail("positive", "temperature");
}

}  // namespace

DnasResult SearchDnas(const LayerGraph& graph, const std::vector<std::vector<BitChoice>>& choices,
                      const std::vector<TieGroup>& ties, const AssignmentProblem& problem,
                      const Dataset& train, const DnasOptions& options, const RunContext& context) {
  CheckOptions(options);
  at::set_num_threads(context.threads);
  Supernet supernet(graph, choices, ties, problem, &train, options, context);
  const ArchitectureSpace& space = supernet.space();
  const auto architecture_size = static_cast<std::int64_t>(
      options.bilevel ? static_cast<double>(train.size()) * options.architecture_share : 0.0);
  const std::int64_t weight_size = train.size() - architecture_size;
  const Dataset weight_data = train.Slice(0, weight_size);
  const Dataset architecture_data =
      options.bilevel ? train.Slice(weight_size, architecture_size) : weight_data;

  TrainingCheckpoint checkpoint(options.checkpoint,
                                Fingerprint(options, space, train, context.root_seed));
  supernet.AddTo(checkpoint);
  DnasResult result;
  std::vector<std::vector<double>> rows;
  const std::int64_t weight_steps = weight_size / options.batch_size;
  const std::int64_t architecture_steps = architecture_size / options.batch_size;
  const std::int64_t steps_per_epoch = weight_steps + architecture_steps;
  int first_epoch = 0;
  if (options.resume && !options.checkpoint.empty()) {
    if (const auto progress = checkpoint.Load()) {
      first_epoch = progress->next_epoch;
      rows = HistoryRows(progress->history);
      for (const auto& row : rows) {
        result.history.push_back(FromRow(row, space, problem.resources.size()));
      }
    }
  }
  for (const std::string& layer : space.dropped_skips) {
    context.progress->Warning("layer " + layer +
                              " cannot be skipped (its block's shapes do not "
                              "allow it, or choices are not made by block): 0 bits left out");
  }
  const auto finished = [&] {
    return options.stable_epochs > 0 &&
           StableEpochs(result.history, options.warmup_epochs) >= options.stable_epochs;
  };
  BatchOptions batches;
  batches.batch_size = options.batch_size;
  batches.crop_padding = options.crop_padding;
  batches.flip = options.flip;
  for (int epoch = first_epoch; epoch < options.epochs && !finished(); ++epoch) {
    const bool learns_theta = epoch >= options.warmup_epochs;
    const double temperature = options.temperature * std::exp(-options.temperature_decay * epoch);
    supernet.set_temperature(temperature);
    // Streams are indexed by step: a resumed search draws what an undisturbed one would have.
    supernet.steps_taken = static_cast<std::uint64_t>(epoch * steps_per_epoch);
    EpochPlace place{"search", epoch, epoch * steps_per_epoch, options.epochs * steps_per_epoch};
    batches.stream = "dnas.weights";
    const EpochSummary weights =
        RunTrainingEpoch(weight_data, batches, place, supernet.network().device(), context,
                         [&](const TrainingBatch& batch, double position) {
                           supernet.set_weight_rate(
                               CosineRate(options.weight_rate, 0.0, 0.0, options.epochs, position));
                           return learns_theta && !options.bilevel ? supernet.JointStep(batch)
                                                                   : supernet.WeightStep(batch);
                         });
    DnasEpoch record{epoch + 1, weights.loss_nats, 0.0, weights.top1_percent, temperature, {}, {},
                     {}};
    if (learns_theta && options.bilevel) {
      place.done_before += weight_steps;
      batches.stream = "dnas.architecture";
      record.architecture_loss =
          RunTrainingEpoch(
              architecture_data, batches, place, supernet.network().device(), context,
              [&](const TrainingBatch& batch, double) { return supernet.ArchitectureStep(batch); })
              .loss_nats;
    }
    record.expected_resources = supernet.ExpectedResources();
    record.probabilities = supernet.distributions().ProbabilityRows();
    record.distributions = FiguresOf(record.probabilities);
    context.progress->Log(LogLine(record, space, options.epochs));
    rows.push_back(ToRow(record));
    result.history.push_back(std::move(record));
    if (!options.checkpoint.empty()) checkpoint.Save(epoch + 1, HistoryTensor(rows));
  }
  result.stopped_early = !result.history.empty() && result.history.back().epoch < options.epochs;
  result.space = space;
  result.probabilities = supernet.distributions().ProbabilityRows();
  result.warnings = DistributionWarnings(space, FiguresOf(result.probabilities));
  for (const std::string& warning : result.warnings) context.progress->Warning(warning);
  result.graph = supernet.network().ToGraph();
  return result;
}

}  // namespace bitsearch
