// The C interface over Predictor. Nothing throws through it; its symbols are the only ones that the
// shared library shows (c_api.map).
#include <bitsearch/predictor.h>

#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "predictor/predictor.h"
#include "predictor/predictor_file.h"
#include "space/support/error.h"

struct bitsearch_predictor {
  bitsearch::Predictor predictor;
};

namespace bitsearch {
namespace {

std::string& LastError() {
  static thread_local std::string message;
  return message;
}

bitsearch_status Fail(bitsearch_status status, const char* message) noexcept {
  try {
    LastError() = message;
  } catch (...) {  // Out of memory: the status has to do.
  }
  return status;
}

bitsearch_status StatusOf(ErrorId id) {
  switch (id) {
    case ErrorId::kFileNotFound:
      return BITSEARCH_FILE_NOT_FOUND;
    case ErrorId::kPredictorVersion:
      return BITSEARCH_UNSUPPORTED_VERSION;
    case ErrorId::kCandidate:
      return BITSEARCH_BAD_CANDIDATE;
    case ErrorId::kUsage:
      return BITSEARCH_INVALID_ARGUMENT;
    case ErrorId::kInternal:
      return BITSEARCH_INTERNAL;
    default:
      return BITSEARCH_BAD_FILE;
  }
}

/// Runs `work`; whatever it throws becomes a status and a message.
template <typename Work>
bitsearch_status Guarded(Work&& work) noexcept {
  try {
    work();
    return BITSEARCH_OK;
  } catch (const Error& error) {
    return Fail(StatusOf(error.id()), error.what());
  } catch (const std::bad_alloc&) {
    return Fail(BITSEARCH_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& failure) {
    return Fail(BITSEARCH_INTERNAL, failure.what());
  } catch (...) {
    return Fail(BITSEARCH_INTERNAL, "unknown failure");
  }
}

template <typename... Pointers>
void RefuseNull(const Pointers*... pointers) {
  if (((pointers == nullptr) || ...)) {
    throw Error(ErrorId::kUsage, "a pointer that must not be null is null");
  }
}

const Gene* GeneAt(const bitsearch_predictor* predictor, std::size_t gene) {
  if (predictor == nullptr || gene >= predictor->predictor.space().size()) return nullptr;
  return &predictor->predictor.space().genes()[gene];
}

/// rows × costs, in each cost's unit.
void WriteCosts(const std::vector<FactoredCost>& costs, const GenomeView& view, double* out) {
  std::vector<std::int64_t> grid(view.rows);
  for (std::size_t c = 0; c < costs.size(); ++c) {
    costs[c].Evaluate(view, grid);
    for (std::size_t r = 0; r < view.rows; ++r) {
      out[r * costs.size() + c] = grid[r] >= FactoredCost::kForbidden
                                      ? std::numeric_limits<double>::infinity()
                                      : costs[c].FromGrid(grid[r]);
    }
  }
}

}  // namespace
}  // namespace bitsearch

using bitsearch::Error;
using bitsearch::ErrorId;

uint32_t bitsearch_api_version(void) { return BITSEARCH_PREDICTOR_API_VERSION; }

const char* bitsearch_status_name(bitsearch_status status) {
  switch (status) {
    case BITSEARCH_OK:
      return "ok";
    case BITSEARCH_INVALID_ARGUMENT:
      return "invalid_argument";
    case BITSEARCH_FILE_NOT_FOUND:
      return "file_not_found";
    case BITSEARCH_BAD_FILE:
      return "bad_file";
    case BITSEARCH_UNSUPPORTED_VERSION:
      return "unsupported_version";
    case BITSEARCH_BAD_CANDIDATE:
      return "bad_candidate";
    case BITSEARCH_BUFFER_TOO_SMALL:
      return "buffer_too_small";
    case BITSEARCH_OUT_OF_MEMORY:
      return "out_of_memory";
    case BITSEARCH_INTERNAL:
      return "internal";
  }
  return "unknown";
}

const char* bitsearch_last_error(void) { return bitsearch::LastError().c_str(); }

bitsearch_status bitsearch_predictor_open(const char* path, bitsearch_predictor** predictor) {
  return bitsearch::Guarded([&] {
    bitsearch::RefuseNull(path, predictor);
    *predictor = nullptr;
    *predictor = new bitsearch_predictor{bitsearch::Predictor(bitsearch::ReadPredictor(path))};
  });
}

bitsearch_status bitsearch_predictor_open_memory(const void* bytes, size_t size,
                                                 bitsearch_predictor** predictor) {
  return bitsearch::Guarded([&] {
    bitsearch::RefuseNull(bytes, predictor);
    *predictor = nullptr;
    *predictor = new bitsearch_predictor{bitsearch::Predictor(
        bitsearch::ParsePredictor({static_cast<const std::byte*>(bytes), size}, "memory"))};
  });
}

void bitsearch_predictor_close(bitsearch_predictor* predictor) { delete predictor; }

size_t bitsearch_predictor_gene_count(const bitsearch_predictor* predictor) {
  return predictor == nullptr ? 0 : predictor->predictor.space().size();
}

const char* bitsearch_predictor_gene_name(const bitsearch_predictor* predictor, size_t gene) {
  const bitsearch::Gene* found = bitsearch::GeneAt(predictor, gene);
  return found == nullptr ? nullptr : found->name.c_str();
}

size_t bitsearch_predictor_value_count(const bitsearch_predictor* predictor, size_t gene) {
  const bitsearch::Gene* found = bitsearch::GeneAt(predictor, gene);
  return found == nullptr ? 0 : found->values.size();
}

const char* bitsearch_predictor_value_text(const bitsearch_predictor* predictor, size_t gene,
                                           size_t value) {
  const bitsearch::Gene* found = bitsearch::GeneAt(predictor, gene);
  return found == nullptr || value >= found->values.size() ? nullptr : found->values[value].c_str();
}

size_t bitsearch_predictor_cost_count(const bitsearch_predictor* predictor) {
  return predictor == nullptr ? 0 : predictor->predictor.model().costs.size();
}

const char* bitsearch_predictor_cost_name(const bitsearch_predictor* predictor, size_t cost) {
  return cost >= bitsearch_predictor_cost_count(predictor)
             ? nullptr
             : predictor->predictor.model().costs[cost].name().c_str();
}

bitsearch_status bitsearch_predictor_parse(const bitsearch_predictor* predictor,
                                           const char* const* names, const char* const* values,
                                           size_t count, uint8_t* row) {
  return bitsearch::Guarded([&] {
    bitsearch::RefuseNull(predictor, row);
    if (count > 0) bitsearch::RefuseNull(names, values);
    std::vector<std::pair<std::string, std::string>> named;
    for (size_t i = 0; i < count; ++i) {
      bitsearch::RefuseNull(names[i], values[i]);
      named.emplace_back(names[i], values[i]);
    }
    const std::vector<std::uint8_t> parsed = predictor->predictor.space().Parse(named);
    if (!parsed.empty()) std::memcpy(row, parsed.data(), parsed.size());
  });
}

bitsearch_status bitsearch_predictor_predict(const bitsearch_predictor* predictor,
                                             const uint8_t* rows, size_t row_count,
                                             double* top1_percent, double* deviation_percent,
                                             double* costs, uint8_t* outside_training_range) {
  return bitsearch::Guarded([&] {
    bitsearch::RefuseNull(predictor);
    if (row_count == 0) return;
    bitsearch::RefuseNull(rows);
    const bitsearch::Predictor& model = predictor->predictor;
    const bitsearch::GenomeView view{rows, row_count, model.space().size()};
    if (view.genes > 0 && row_count > std::numeric_limits<std::size_t>::max() / view.genes) {
      throw Error(ErrorId::kUsage, "more rows than memory has addresses");
    }
    model.space().Validate(view);
    std::vector<bitsearch::CandidateScore> scores(row_count);
    model.Predict(view, scores);
    // All that can throw is done before the first output is written.
    std::vector<double> cost_values(costs == nullptr ? 0 : row_count * model.model().costs.size());
    if (costs != nullptr) bitsearch::WriteCosts(model.model().costs, view, cost_values.data());
    if (outside_training_range != nullptr) {
      std::vector<std::uint8_t> outside(row_count);
      for (size_t r = 0; r < row_count; ++r) {
        outside[r] = model.OutsideTrainingRange(view.row(r)) ? 1 : 0;
      }
      std::memcpy(outside_training_range, outside.data(), row_count);
    }
    for (size_t r = 0; r < row_count; ++r) {
      if (top1_percent != nullptr) top1_percent[r] = scores[r].top1_percent;
      if (deviation_percent != nullptr) {
        deviation_percent[r] = scores[r].standard_deviation_percent;
      }
    }
    if (!cost_values.empty()) {
      std::memcpy(costs, cost_values.data(), cost_values.size() * sizeof(double));
    }
  });
}

bitsearch_status bitsearch_predictor_describe(const bitsearch_predictor* predictor, char* buffer,
                                              size_t capacity, size_t* needed) {
  bool fits = true;
  const bitsearch_status status = bitsearch::Guarded([&] {
    bitsearch::RefuseNull(predictor);
    const std::string text = bitsearch::DescribePredictor(predictor->predictor.model());
    if (needed != nullptr) *needed = text.size() + 1;
    fits = buffer != nullptr && capacity > text.size();
    if (fits) std::memcpy(buffer, text.c_str(), text.size() + 1);
  });
  if (status == BITSEARCH_OK && !fits) {
    return bitsearch::Fail(BITSEARCH_BUFFER_TOO_SMALL, "the buffer is too small for the text");
  }
  return status;
}
