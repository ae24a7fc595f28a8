// JSON → FactoredCost. nlohmann's own errors are turned into Error here.
#include "space/candidates/published_tables.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>

#include "space/candidates/published_spaces.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

using Json = nlohmann::json;

// 1e-9 ms and 1e-9 mJ: finer than any digit that the tables carry meaning in.
constexpr int kDecimals = 9;

template <typename Function>
auto ReadTable(const std::filesystem::path& path, Function&& function) {
  try {
    return WithPlace({path.string()}, [&] { return function(Json::parse(ReadTextFile(path))); });
  } catch (const Json::exception& failure) {
    throw Error(ErrorId::kPublishedTable, fmt::format("not the expected table: {}", failure.what()))
        .At({path.string(), 0, 0})
        .Hint("is it the table of this space, and copied completely?");
  }
}

std::int64_t Grid(const Json& value) {
  return FactoredCost::RoundToGrid(value.get<double>(), kDecimals);
}

using ShapeKey = std::tuple<int, int, int, int, int, int>;

ShapeKey KeyOf(const Json& layer) {
  return {layer.at("in_channels"), layer.at("out_channels"), layer.at("input_size"),
          layer.at("kernel"),      layer.at("stride"),       layer.at("groups")};
}

}  // namespace

FactoredCost ReadOnceForAllLatency(const std::filesystem::path& path, const CandidateSpace& space) {
  using S = OnceForAllSpace;
  return ReadTable(path, [&](const Json& json) {
    std::vector<CostTerm> terms;
    CostTerm fixed{{S::kResolutionGene}, kNoGene, {}};
    for (const int resolution : S::kResolutions) {
      fixed.values.push_back(
          Grid(json.at("by_resolution").at(std::to_string(resolution)).at("fixed_ms")));
    }
    terms.push_back(std::move(fixed));
    for (std::size_t b = 0; b < S::kBlocks; ++b) {
      CostTerm term{{S::kResolutionGene, S::KernelGene(b), S::ExpandGene(b)}, S::KernelGene(b), {}};
      for (const int resolution : S::kResolutions) {
        const Json& times = json.at("by_resolution")
                                .at(std::to_string(resolution))
                                .at("blocks")
                                .at(b)
                                .at("mean_std_ms");
        for (const int kernel : S::kKernels) {
          for (const int expand : S::kExpandRatios) {
            term.values.push_back(Grid(times.at(fmt::format("k{}_e{}", kernel, expand)).at(0)));
          }
        }
      }
      terms.push_back(std::move(term));
    }
    return FactoredCost(space, "latency_ms", kDecimals, 0, std::move(terms));
  });
}

ApqCosts ReadApqCosts(const std::filesystem::path& path, const CandidateSpace& space) {
  using S = ApqSpace;
  return ReadTable(path, [&](const Json& json) {
    std::map<ShapeKey, const Json*> rows;
    for (const Json& layer : json.at("layers")) {
      rows[KeyOf(layer)] = &layer.at("latency_ms_energy_mJ");
    }
    const auto entry = [&rows](const ShapeKey& key, int weight, int activation, std::size_t which) {
      const auto row = rows.find(key);
      if (row == rows.end()) {
        const auto [in, out, size, kernel, stride, groups] = key;
        throw Error(ErrorId::kPublishedTable, "no such layer in the table")
            .Key(fmt::format("in{} out{} size{} kernel{} stride{} groups{}", in, out, size, kernel,
                             stride, groups))
            .Hint("is it the table of this space, and copied completely?");
      }
      const auto cell = row->second->find(fmt::format("W{}A{}", weight, activation));
      return cell == row->second->end() ? FactoredCost::kForbidden : Grid(cell->at(which));
    };
    const auto add = [](std::int64_t a, std::int64_t b) {
      return a >= FactoredCost::kForbidden || b >= FactoredCost::kForbidden
                 ? FactoredCost::kForbidden
                 : a + b;
    };
    const auto make = [&](std::size_t which, const char* part, const char* name) {
      std::vector<CostTerm> terms;
      int size = S::kFirstSize;
      for (std::size_t b = 0; b < S::kBlocks; ++b) {
        const int input = S::InputChannels(b);
        const int output = S::kOutputChannels[b / 4];
        const int stride = b % 4 == 0 ? S::kStrides[b / 4] : 1;
        const int output_size = size / stride;
        CostTerm pointwise{
            {S::ChannelGene(b), S::BitsGene(0, b), S::BitsGene(1, b)}, S::ChannelGene(b), {}};
        CostTerm depthwise{{S::KernelGene(b), S::ChannelGene(b), S::BitsGene(2, b),
                            S::BitsGene(3, b)},
                           S::ChannelGene(b),
                           {}};
        for (const int middle : S::MiddleChannels(b)) {
          for (const int w : S::kBits) {
            for (const int a : S::kBits) {
              pointwise.values.push_back(
                  add(entry({input, middle, size, 1, 1, 1}, w, a, which),
                      entry({middle, output, output_size, 1, 1, 1}, w, a, which)));
            }
          }
        }
        for (const int kernel : S::kKernels) {
          for (const int middle : S::MiddleChannels(b)) {
            for (const int w : S::kBits) {
              for (const int a : S::kBits) {
                depthwise.values.push_back(
                    entry({middle, middle, size, kernel, stride, middle}, w, a, which));
              }
            }
          }
        }
        terms.push_back(std::move(pointwise));
        terms.push_back(std::move(depthwise));
        size = output_size;
      }
      const Json& fixed = json.at("fixed_cost");
      return FactoredCost(
          space, name, kDecimals,
          Grid(fixed.at("head").at(part)) + Grid(fixed.at("tail").at(part)), std::move(terms));
    };
    return ApqCosts{make(0, "latency", "latency_ms"), make(1, "energy", "energy_mJ")};
  });
}

}  // namespace bitsearch
