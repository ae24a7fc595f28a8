// Speed of the predictor and of the search on it, to be run beside peers/predictor_peer.py:
// APQ's 630,801-parameter network with random weights on APQ's space, encoding included, and an
// evolution of 10,000 scored candidates under 12.80 ms of the BitFusion table. Per processor
// second, since machines are shared. predictor_speed [seconds of each measurement].

#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>

#include "predictor/predictor.h"
#include "search/evolution/evolution_search.h"
#include "space/candidates/published_spaces.h"
#include "space/candidates/published_tables.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

DenseLayer RandomLayer(Eigen::Index outputs, Eigen::Index inputs, RandomStream& random) {
  DenseLayer layer{Eigen::MatrixXf(outputs, inputs), Eigen::VectorXf::Zero(outputs)};
  for (float& w : layer.weights.reshaped()) {
    w = static_cast<float>(random.Normal() / std::sqrt(static_cast<double>(inputs)));
  }
  return layer;
}

PredictorModel ApqModel() {
  RandomStream random(1, "predictor_speed");
  PredictorModel model;
  model.encoding = Encoding::Apq(MakeApqSpace());
  const auto width = [&](FeatureGroup group) {
    return static_cast<Eigen::Index>(model.encoding.features(group).size());
  };
  constexpr Eigen::Index kHidden = 400;
  model.members.push_back(
      {RandomLayer(kHidden, width(FeatureGroup::kArchitecture), random),
       RandomLayer(kHidden, width(FeatureGroup::kBits), random),
       {RandomLayer(kHidden, kHidden, random), RandomLayer(kHidden, kHidden, random)},
       RandomLayer(1, kHidden, random)});
  return model;
}

double ProcessSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void Throughput(const PredictorModel& model, std::size_t batch, int threads, double seconds) {
  const Predictor predictor(model, {.threads = threads});
  const CandidateSpace& space = predictor.space();
  RandomStream random(2, "speed_genomes");
  std::vector<std::uint8_t> genomes(1024 * space.size());
  for (std::size_t i = 0; i < genomes.size(); ++i) {
    genomes[i] = static_cast<std::uint8_t>(
        random.Below(static_cast<std::uint64_t>(space.cardinality(i % space.size()))));
  }
  std::vector<CandidateScore> scores(batch);
  const double processor = ProcessSeconds();
  const auto start = std::chrono::steady_clock::now();
  double spent = 0.0;
  std::size_t rows = 0;
  for (std::size_t first = 0; (spent = ProcessSeconds() - processor) < seconds;) {
    predictor.Predict({genomes.data() + first * space.size(), batch, space.size()}, scores);
    rows += batch;
    first = (first + batch) % 1024;
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  std::printf("batch %5zu, %d threads: %10.0f /s processor %10.0f /s wall\n", batch, threads,
              static_cast<double>(rows) / spent, static_cast<double>(rows) / wall.count());
}

int Run(double seconds) {
  const PredictorModel model = ApqModel();
  std::printf("%ld parameters\n", static_cast<long>(model.members[0].ParameterCount()));
  for (const std::size_t batch : {std::size_t{1}, std::size_t{1024}}) {
    Throughput(model, batch, 1, seconds);
  }
  Throughput(model, 1024, 2, 2.0 * seconds);
  const auto table =
      std::filesystem::path(BITSEARCH_SHARED_DATA) / "apq" / "apq_bitfusion_lut.json";
  if (!std::filesystem::exists(table)) return 0;
  Predictor predictor(model);
  const ApqCosts costs = ReadApqCosts(table, predictor.space());
  const std::int64_t most = costs.latency_ms.LimitToGrid(12.80);
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    RunContext context;
    context.root_seed = seed;
    const double before = ProcessSeconds();
    const EvolutionResult result =
        EvolveCandidates(predictor, {&costs.latency_ms, 1}, std::vector<CandidateLimit>{{0, most}},
                         EvolutionOptions{.evaluations = 10'000}, context);
    std::printf("evolution, seed %lu: %ld scored, best %.4f, %.3f processor seconds\n",
                static_cast<unsigned long>(seed), static_cast<long>(result.scored),
                result.best.score.top1_percent, ProcessSeconds() - before);
  }
  return 0;
}

}  // namespace
}  // namespace bitsearch

int main(int argc, char** argv) { return bitsearch::Run(argc > 1 ? std::stod(argv[1]) : 1.0); }
