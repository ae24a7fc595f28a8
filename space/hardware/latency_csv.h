#pragma once
// LatencyTable as the two CSV files of the contract: latencies and transitions. Must not know where
// the numbers come from.

#include <string>
#include <string_view>

#include "space/hardware/latency_table.h"

namespace bitsearch {

/// Reads `layer,weight_bits,activation_bits,latency_us[,stddev_us,samples]`. `layer` is a layer id
/// or a signature. Times are exact decimals, kept in whole nanoseconds (further digits are rounded
/// half up). Comment lines: `fixed_latency_us: T` is the fixed time; `signature N: ["S", "layer",
/// …]` says that the layers listed have signature S; every other `key: value` is provenance.
/// Throws the errors of CsvTable, Error(kLatencyBits) for a bits cell that is no number format, and
/// Error(kLatencyValue) / Error(kLatencyDuplicate); all with file, line and column.
LatencyTable ReadLatencyCsv(const std::string& path);
LatencyTable ParseLatencyCsv(std::string_view text, const std::string& name);

/// Adds the rows of `producer,consumer,from_bits,to_bits,latency_us[,stddev_us,samples]`.
/// Columns of other resources are left to others. A file without `latency_us` adds nothing.
void ReadTransitionsCsv(const std::string& path, LatencyTable* table);
void ParseTransitionsCsv(std::string_view text, const std::string& name, LatencyTable* table);

/// The files' text: provenance as comments, rows in the table's order. Deviation and samples are
/// written where any entry has them.
std::string LatencyCsvText(const LatencyTable& table);
std::string TransitionsCsvText(const LatencyTable& table);

/// Writes the latency file and, if the table has edges and `transitions_path` is not empty, the
/// transitions file. Atomic per file. Throws Error(kFileWrite).
void WriteLatencyCsv(const LatencyTable& table, const std::string& path,
                     const std::string& transitions_path = "");

/// "T.csv" → "T.transitions.csv": where `latency measure` and `latency import` put the edges.
std::string TransitionsPathFor(const std::string& latency_path);

/// Nanoseconds as an exact decimal of microseconds: 1500 → "1.5".
std::string MicrosecondsText(std::int64_t nanoseconds);

/// A CSV cell, quoted where it must be.
std::string CsvCell(std::string_view text);

}  // namespace bitsearch
