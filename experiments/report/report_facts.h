#pragma once
// What a report says in sentences, as numbers: for each budget the chosen configuration's accuracy,
// what limits it, what more budget would buy, how sure the choice is. From parsed artifacts.

#include <nlohmann/json.hpp>

namespace bitsearch {

/// `files` as in ReportData. JSON: `{remarks: […], budgets: [{name, …}]}`; a budget lacks what its
/// files do not tell.
nlohmann::ordered_json ReportFacts(const nlohmann::ordered_json& files);

/// 95 % interval of a proportion (Wilson 1927), in percent: [low, high].
std::pair<double, double> WilsonPercent(double correct, double samples);

/// "latency_us" of "frontier_latency_us.json".
std::string ResourceOfFrontier(const std::string& name);

/// Index of the last point of an ascending frontier whose resource is within the limit; the number
/// of points if none is.
std::size_t LastPointWithin(const nlohmann::ordered_json& points, const std::string& resource,
                            double limit);

}  // namespace bitsearch
