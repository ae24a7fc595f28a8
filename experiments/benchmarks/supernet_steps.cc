// What a step of the supernet costs: CPU time and peak memory of training steps of the float
// network, of quantization-aware training and of every supernet mode, interleaved with a peer
// script's steps in the same run. Prints one table; the peer's float step is the denominator.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "search/supernet/supernet_torch.h"
#include "space/graph/onnx_reader.h"
#include "space/hardware/costs.h"
#include "space/network/builtin.h"
#include "space/network/training_loop_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Options {
  std::string model;
  std::string peer;
  std::string peer_variants = "fp32,qat_w4a4,comp_shared,comp_sh_gumbel,comp_sh_fused";
  std::string variants = "fp32,qat_w4a4,composite,gumbel_soft,gumbel_hard,single_path";
  std::string memory_of;
  int rounds = 10;
  int threads = 1;
  std::int64_t batch = 64;
  std::string device = "cpu";
  bool memory = false;
};

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

Dataset RandomImages(std::int64_t count) {
  RandomStream random(1, "benchmark");
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count * 3 * 32 * 32));
  for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(random.Below(256));
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(count));
  for (auto& label : labels) label = static_cast<std::uint8_t>(random.Below(10));
  return Dataset(3, 32, 32, 10, std::move(pixels), std::move(labels), {0.5F}, {0.25F});
}

// A training step, ready to be repeated.
using TimedStep = std::function<void()>;

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        graph_(options.model.empty() ? BuildResNet(20, {}, 1) : ReadOnnx(options.model)),
        data_(RandomImages(options.batch)) {
    BatchOptions batches;
    batches.batch_size = options.batch;
    batches.crop_padding = 0;
    batches.flip = false;
    batch_ = EpochBatches(data_, batches, 1, 0).Next(ParseDevice(options.device));
  }

  TimedStep Make(const std::string& variant) {
    if (variant == "fp32") return FloatStep();
    if (variant == "qat_w4a4") return SupernetStep({4}, {4}, SupernetMode::kComposite);
    const std::map<std::string, SupernetMode> modes = {{"composite", SupernetMode::kComposite},
                                                       {"gumbel_soft", SupernetMode::kGumbelSoft},
                                                       {"gumbel_hard", SupernetMode::kGumbelHard},
                                                       {"single_path", SupernetMode::kSinglePath}};
    const auto mode = modes.find(variant);
    if (mode == modes.end()) {
      throw Error(ErrorId::kUsage, "unknown variant '" + variant + "'");
    }
    return SupernetStep({2, 3, 4, 6, 8}, {2, 3, 4, 6, 8}, mode->second);
  }

 private:
  TimedStep FloatStep() {
    auto network = std::make_shared<Network>(graph_, options_.device);
    const TrainableParameters parameters = MakeTrainable(*network);
    std::shared_ptr<torch::optim::SGD> optimizer = MakeSgd(parameters, 0.1, 0.9, 1e-4);
    return [this, network, optimizer] {
      optimizer->zero_grad();
      const at::Tensor logits = network->Forward(batch_.images, nullptr, /*training=*/true);
      at::cross_entropy_loss(logits, batch_.labels).backward();
      optimizer->step();
    };
  }

  // First and last layer stay float, as in the peer.
  TimedStep SupernetStep(const std::vector<int>& weights, const std::vector<int>& activations,
                         SupernetMode mode) {
    std::vector<std::vector<BitChoice>> choices;
    for (std::size_t l = 0; l < graph_.layers().size(); ++l) {
      choices.emplace_back();
      if (l == 0 || l + 1 == graph_.layers().size()) {
        choices.back().push_back(BitChoice{});
        continue;
      }
      for (const int w : weights) {
        for (const int a : activations) {
          choices.back().push_back({NumberFormat::Integer(w), NumberFormat::Integer(a)});
        }
      }
    }
    AssignmentProblem problem;
    for (const auto& layer : choices) problem.loss.emplace_back(layer.size(), 0.0);
    Resource bops;
    bops.name = "bops";
    bops.cost = BopsOfChoices(graph_, choices);
    problem.resources.push_back(std::move(bops));
    DnasOptions options;
    options.mode = mode;
    options.batch_size = options_.batch;
    options.weight_rate = 0.1;
    options.terms = {{SearchCostTerm::Kind::kAdditive, "bops", 1e-3, 0.0, 0.0}};
    options.device = options_.device;
    RunContext context;
    context.threads = options_.threads;
    const bool learns = weights.size() > 1;
    auto supernet = std::make_shared<Supernet>(graph_, choices, std::vector<TieGroup>(), problem,
                                               &data_, options, context);
    return [this, supernet, learns] {
      learns ? supernet->JointStep(batch_) : supernet->WeightStep(batch_);
    };
  }

  const Options& options_;
  LayerGraph graph_;
  Dataset data_;
  TrainingBatch batch_;
};

// The peer as a child that is stopped while our steps run, so that the two never compete.
class Peer {
 public:
  explicit Peer(const std::string& command) {
    int ends[2];
    if (pipe(ends) != 0) throw Error(ErrorId::kInternal, "no pipe");
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      close(ends[0]);
      close(ends[1]);
      execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
    output_ = fdopen(ends[0], "r");
  }
  ~Peer() {
    if (output_ != nullptr) std::fclose(output_);
    if (reaped_) return;
    Go();
    waitpid(pid_, nullptr, 0);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  bool ReadLine(std::string& line) {
    char buffer[512];
    if (std::fgets(buffer, sizeof buffer, output_) == nullptr) return false;
    line = buffer;
    return true;
  }
  void Stop() const { kill(pid_, SIGSTOP); }
  void Go() const { kill(pid_, SIGCONT); }
  // Waits for the end; peak memory in MiB.
  double PeakMiB() {
    rusage usage{};
    std::string line;
    while (ReadLine(line)) {
    }
    wait4(pid_, nullptr, 0, &usage);
    reaped_ = true;
    return static_cast<double>(usage.ru_maxrss) / 1024.0;
  }

 private:
  pid_t pid_ = -1;
  std::FILE* output_ = nullptr;
  bool reaped_ = false;
};

std::string PeerCommand(const Options& options, const std::string& variants, int rounds) {
  return options.peer + " --threads " + std::to_string(options.threads) + " --rounds " +
         std::to_string(rounds) + " --only " + variants;
}

void PrintTable(const std::map<std::string, std::vector<double>>& ours,
                const std::map<std::string, std::vector<double>>& theirs) {
  const auto base = theirs.contains("fp32") ? theirs.at("fp32")
                    : ours.contains("fp32") ? ours.at("fp32")
                                            : std::vector<double>{1.0};
  const double denominator = Median(base);
  std::printf(
      "| whose | step | CPU s, median | over the %s FP32 step | rounds |\n|---|---|---|---|---|\n",
      theirs.contains("fp32") ? "peer's" : "own");
  for (const auto* side : {&theirs, &ours}) {
    for (const auto& [name, times] : *side) {
      std::printf("| %s | %s | %.4f | %.2f | %zu |\n", side == &ours ? "bitsearch" : "peer",
                  name.c_str(), Median(times), Median(times) / denominator, times.size());
    }
  }
}

int Time(const Options& options) {
  Bench bench(options);
  std::vector<std::pair<std::string, TimedStep>> steps;
  for (const std::string& name : Split(options.variants))
    steps.emplace_back(name, bench.Make(name));
  constexpr int kWarmUp = 2;
  std::map<std::string, std::vector<double>> ours;
  std::map<std::string, std::vector<double>> theirs;
  std::map<std::string, int> seen;
  const auto run_one = [&](std::size_t i) {
    const double start = CpuSeconds();
    steps[i].second();
    const double took = CpuSeconds() - start;
    if (++seen[steps[i].first] > kWarmUp) ours[steps[i].first].push_back(took);
  };
  if (options.peer.empty()) {
    for (int round = 0; round < options.rounds + kWarmUp; ++round) {
      for (std::size_t i = 0; i < steps.size(); ++i) run_one(i);
    }
  } else {
    const std::size_t peers = Split(options.peer_variants).size();
    Peer peer(PeerCommand(options, options.peer_variants, options.rounds));
    std::size_t next = 0;
    double owed = 0.0;
    for (std::string line; peer.ReadLine(line);) {
      int round = 0;
      char name[64];
      double wall = 0.0;
      double cpu = 0.0;
      if (std::sscanf(line.c_str(), "# %d %63s %lf %lf", &round, name, &wall, &cpu) != 4) continue;
      peer.Stop();
      if (round >= kWarmUp) theirs[name].push_back(cpu);
      owed += static_cast<double>(steps.size()) / static_cast<double>(peers);
      for (; owed >= 1.0; owed -= 1.0) run_one(next++ % steps.size());
      peer.Go();
    }
  }
  PrintTable(ours, theirs);
  return 0;
}

// Peak memory of one variant in a process of its own, over an idle one with the network loaded.
int Memory(const Options& options, const std::string& self) {
  std::printf("| whose | step | peak MiB |\n|---|---|---|\n");
  for (const std::string& name : Split(options.variants)) {
    Peer child(self + " --memory-of " + name + " --batch " + std::to_string(options.batch) +
               (options.model.empty() ? "" : " --model '" + options.model + "'"));
    std::printf("| bitsearch | %s | %.0f |\n", name.c_str(), child.PeakMiB());
    std::fflush(stdout);
  }
  if (options.peer.empty()) return 0;
  for (const std::string& name : Split(options.peer_variants)) {
    Peer child(PeerCommand(options, name, 1));
    std::printf("| peer | %s | %.0f |\n", name.c_str(), child.PeakMiB());
    std::fflush(stdout);
  }
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app("CPU time and memory of supernet steps");
  Options options;
  app.add_option("--model", options.model, "ONNX file with BN; default: the built-in ResNet-20");
  app.add_option("--peer", options.peer, "command of a peer script, e.g. 'python3 dnas_peer.py'");
  app.add_option("--peer-variants", options.peer_variants);
  app.add_option("--variants", options.variants);
  app.add_option("--rounds", options.rounds);
  app.add_option("--threads", options.threads);
  app.add_option("--batch", options.batch);
  app.add_option("--device", options.device);
  app.add_flag("--memory", options.memory, "peak memory instead of time");
  app.add_option("--memory-of", options.memory_of, "run three steps of one variant and exit");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(options.threads);
  if (!options.memory_of.empty()) {
    Bench bench(options);
    const TimedStep step = bench.Make(options.memory_of);
    for (int i = 0; i < 3; ++i) step();
    return 0;
  }
  return options.memory ? Memory(options, argv[0]) : Time(options);
}

}  // namespace
}  // namespace bitsearch

int main(int argc, char** argv) {
  try {
    return bitsearch::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
