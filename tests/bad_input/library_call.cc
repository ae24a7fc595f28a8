// library_call WHAT …: calls a part of the library that no command reaches yet with what the
// arguments name, and reports an error as bitsearch does. For the cases of those parts only.
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "predictor/npz.h"
#include "predictor/once_for_all.h"
#include "space/candidates/factored_cost.h"
#include "space/candidates/published_spaces.h"
#include "space/candidates/published_tables.h"
#include "space/hardware/capabilities.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using Words = std::vector<std::string>;

Words Split(const std::string& text) {
  Words parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

std::pair<std::string, std::string> Setting(const std::string& text) {
  const std::size_t equals = text.find('=');
  return {text.substr(0, equals), text.substr(equals + 1)};
}

/// "depth=2,3 kernel=3,5 -- REST": a space of genes, and REST.
std::pair<CandidateSpace, Words> SpaceOf(const Words& words) {
  std::vector<Gene> genes;
  auto word = words.begin();
  for (; word != words.end() && *word != "--"; ++word) {
    const auto [name, values] = Setting(*word);
    genes.push_back({.name = name, .values = Split(values)});
  }
  if (word != words.end()) ++word;
  return {CandidateSpace("test", std::move(genes)), Words(word, words.end())};
}

void ParseCandidate(const Words& words) {
  const auto [space, rest] = SpaceOf(words);
  std::vector<std::pair<std::string, std::string>> values;
  for (const std::string& word : rest) values.push_back(Setting(word));
  space.Parse(values);
}

/// One term over the first gene, with the values of REST.
void MakeCost(const Words& words) {
  const auto [space, rest] = SpaceOf(words);
  CostTerm term{{0}, kNoGene, {}};
  for (const std::string& value : Split(rest.at(0))) term.values.push_back(std::stoll(value));
  FactoredCost(space, "latency_ms", 3, 0, {term});
}

/// One Conv layer, weights and activations of 3 bits.
void OfferThreeBits(const Words& words) {
  const BitChoice three{NumberFormat::Integer(3), NumberFormat::Integer(3)};
  OfferChoices(ReadCapabilitiesFile(words.at(0)), {}, {{{"conv1", ""}, "Conv", {three}}},
               Granularity::kPerTensor);
}

const std::map<std::string, std::function<void(const Words&)>>& Calls() {
  static const std::map<std::string, std::function<void(const Words&)>> calls = {
      {"space", [](const Words& words) { SpaceOf(words); }},
      {"candidate", ParseCandidate},
      {"cost", MakeCost},
      {"capabilities", OfferThreeBits},
      {"npz", [](const Words& words) { ReadNpz(words.at(0)); }},
      {"ofa-predictor", [](const Words& words) { ReadOnceForAllPredictor(words.at(0)); }},
      {"ofa-latency",
       [](const Words& words) { ReadOnceForAllLatency(words.at(0), MakeOnceForAllSpace()); }},
      {"apq-costs", [](const Words& words) { ReadApqCosts(words.at(0), MakeApqSpace()); }},
  };
  return calls;
}

}  // namespace
}  // namespace bitsearch

int main(int argc, char** argv) {
  using bitsearch::Error;
  const bitsearch::Words words(argv + 1, argv + argc);
  try {
    bitsearch::Calls().at(words.at(0))({std::next(words.begin()), words.end()});
    return 0;
  } catch (const Error& error) {
    std::cerr << error.what() << " [" << Slug(error.id()) << "]\n";
    return static_cast<int>(ClassOf(error.id()));
  }
}
