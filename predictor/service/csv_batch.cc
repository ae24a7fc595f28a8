// CSV rows → genomes → CSV text.
#include "predictor/service/csv_batch.h"

#include "space/choices/bit_choice.h"
#include "space/hardware/latency_csv.h"
#include "space/support/error.h"

namespace bitsearch {
std::vector<std::uint8_t> GenomesOfCsv(const CandidateSpace& space, const CsvTable& table,
                                       const std::vector<std::string>& also_allowed) {
  std::vector<std::string> known = also_allowed;
  for (const Gene& gene : space.genes()) known.push_back(gene.name);
  table.AllowOnly(known);
  std::vector<std::pair<std::size_t, const Gene*>> columns;
  for (std::size_t c = 0; c < table.header().size(); ++c) {
    const auto gene = space.FindGene(table.header()[c]);
    if (gene) columns.emplace_back(c, &space.genes()[*gene]);
  }
  std::vector<std::uint8_t> genomes;
  genomes.reserve(table.rows().size() * space.size());
  std::vector<std::pair<std::string, std::string>> named;
  for (const CsvRow& row : table.rows()) {
    named.clear();
    for (const auto& [column, gene] : columns) {
      std::string text = table.Text(row, column);
      if (text.empty()) continue;
      const auto format = NumberFormat::Parse(text);
      if (gene->kind != GeneKind::kArchitecture && format) text = format->ToString();
      named.emplace_back(gene->name, std::move(text));
    }
    try {
      const std::vector<std::uint8_t> genome = space.Parse(named);
      genomes.insert(genomes.end(), genome.begin(), genome.end());
    } catch (Error& error) {
      const auto column = table.FindColumn(error.key());
      throw error.At(column ? table.LocationOf(row, *column)
                            : SourceLocation{table.path(), row.line, 0});
    }
  }
  return genomes;
}

std::string PredictCsv(const OnlinePredictor& predictor, const CsvTable& table) {
  const std::vector<std::uint8_t> genomes = GenomesOfCsv(predictor.space(), table, {"id"});
  const GenomeView view{genomes.data(), table.rows().size(), predictor.space().size()};
  ScoredBatch batch = CostsOf(predictor.predictor(), view);
  batch.scores.resize(view.rows);
  predictor.Predict(view, batch.scores);
  const PredictionWriter writer(predictor.predictor().model());
  const auto id = table.FindColumn("id");
  std::string text = (id ? "id," : "") + writer.CsvHeader() + "\n";
  for (std::size_t r = 0; r < view.rows; ++r) {
    if (id) text += CsvCell(table.Text(table.rows()[r], *id)) + ",";
    writer.AppendCsv(batch, r, text);
    text += '\n';
  }
  return text;
}

}  // namespace bitsearch
