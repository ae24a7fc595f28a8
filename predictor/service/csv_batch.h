#pragma once
// A batch as CSV: one column per gene in, predictions out.

#include <string>

#include "predictor/service/prediction_service.h"
#include "space/support/csv.h"

namespace bitsearch {

/// `table` has a column per gene with more than one value ("conv1.weight_bits") holding texts of
/// its values, and optionally `id`; a gene that does not matter in a row may be left empty. Returns
/// CSV text: `id` (where given), top1_percent, standard_deviation_percent, the costs,
/// outside_training_range. Throws Error with file, line and column: kCsvUnknownColumn, kCandidate.
std::string PredictCsv(const OnlinePredictor& predictor, const CsvTable& table);

/// The genomes of the table's rows, by the columns named after genes; other columns in
/// `also_allowed` are skipped.
std::vector<std::uint8_t> GenomesOfCsv(const CandidateSpace& space, const CsvTable& table,
                                       const std::vector<std::string>& also_allowed);

}  // namespace bitsearch
