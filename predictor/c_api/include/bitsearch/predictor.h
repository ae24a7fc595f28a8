/* C interface of bitsearch's accuracy predictor: reads a .bspred file, predicts accuracy and cost
 * of bit-width configurations. Plain C99; the library behind it needs neither LibTorch nor TBB.
 *
 * Handles are opaque and constant after opening: any number of threads may query one handle at the
 * same time. All memory that results are written to belongs to the caller. Every call that can fail
 * returns a status; bitsearch_last_error() then says why, for the calling thread.
 */
#ifndef BITSEARCH_PREDICTOR_H_
#define BITSEARCH_PREDICTOR_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define BITSEARCH_API __attribute__((visibility("default")))
#else
#define BITSEARCH_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when functions are added; the shared library's SOVERSION when one changes its meaning. */
#define BITSEARCH_PREDICTOR_API_VERSION 1

typedef struct bitsearch_predictor bitsearch_predictor;

typedef enum bitsearch_status {
  BITSEARCH_OK = 0,
  BITSEARCH_INVALID_ARGUMENT = 1,    /* A null pointer, or an index beyond the end. */
  BITSEARCH_FILE_NOT_FOUND = 2,      /* The file cannot be opened. */
  BITSEARCH_BAD_FILE = 3,            /* Truncated, altered, or no predictor file. */
  BITSEARCH_UNSUPPORTED_VERSION = 4, /* Written by a newer bitsearch. */
  BITSEARCH_BAD_CANDIDATE = 5,       /* No such gene or value, or a value is missing. */
  BITSEARCH_BUFFER_TOO_SMALL = 6,    /* Nothing was written; the size needed was. */
  BITSEARCH_OUT_OF_MEMORY = 7,
  BITSEARCH_INTERNAL = 8 /* A defect; please report it. */
} bitsearch_status;

/* The library's BITSEARCH_PREDICTOR_API_VERSION. */
BITSEARCH_API uint32_t bitsearch_api_version(void);
/* "ok", "bad_file", ...; never null. */
BITSEARCH_API const char* bitsearch_status_name(bitsearch_status status);
/* What the last failed call of this thread complained about; "" before any. Valid until this
 * thread's next failing call. */
BITSEARCH_API const char* bitsearch_last_error(void);

/* Opens a file, or the bytes of one (copied). On success *predictor must be closed once; on failure
 * it is null. */
BITSEARCH_API bitsearch_status bitsearch_predictor_open(const char* path,
                                                        bitsearch_predictor** predictor);
BITSEARCH_API bitsearch_status bitsearch_predictor_open_memory(const void* bytes, size_t size,
                                                               bitsearch_predictor** predictor);
/* Null is allowed. No query may be running. */
BITSEARCH_API void bitsearch_predictor_close(bitsearch_predictor* predictor);

/* A configuration is a row of gene_count bytes: for each gene the index of its value. For a fixed
 * network gene 2l is "<layer l>.weight_bits" and gene 2l + 1 "<layer l>.activation_bits". Texts
 * belong to the handle; null, and 0, for an index beyond the end. */
BITSEARCH_API size_t bitsearch_predictor_gene_count(const bitsearch_predictor* predictor);
BITSEARCH_API const char* bitsearch_predictor_gene_name(const bitsearch_predictor* predictor,
                                                        size_t gene);
BITSEARCH_API size_t bitsearch_predictor_value_count(const bitsearch_predictor* predictor,
                                                     size_t gene);
BITSEARCH_API const char* bitsearch_predictor_value_text(const bitsearch_predictor* predictor,
                                                         size_t gene, size_t value);

/* The costs that the file knows, with their unit in the name: "latency_us", "size_bits", ... */
BITSEARCH_API size_t bitsearch_predictor_cost_count(const bitsearch_predictor* predictor);
BITSEARCH_API const char* bitsearch_predictor_cost_name(const bitsearch_predictor* predictor,
                                                        size_t cost);

/* The row of named values: names[i] takes values[i]. A gene that matters must be given unless it
 * has one value. `row` has gene_count bytes. */
BITSEARCH_API bitsearch_status bitsearch_predictor_parse(const bitsearch_predictor* predictor,
                                                         const char* const* names,
                                                         const char* const* values, size_t count,
                                                         uint8_t* row);

/* Predicts `row_count` configurations at once; `rows` holds row_count x gene_count bytes. Each
 * output may be null. Sizes: top1_percent, deviation_percent, outside_training_range: row_count;
 * costs: row_count x cost_count, infinity where the device cannot run the configuration. A row's
 * result does not depend on the other rows. On failure nothing is written. */
BITSEARCH_API bitsearch_status bitsearch_predictor_predict(const bitsearch_predictor* predictor,
                                                           const uint8_t* rows, size_t row_count,
                                                           double* top1_percent,
                                                           double* deviation_percent, double* costs,
                                                           uint8_t* outside_training_range);

/* What the file says of itself (space, features, layers, table hash, training range), as JSON with
 * a final 0. *needed, if not null, becomes the bytes needed with that 0, also on
 * BITSEARCH_BUFFER_TOO_SMALL. */
BITSEARCH_API bitsearch_status bitsearch_predictor_describe(const bitsearch_predictor* predictor,
                                                            char* buffer, size_t capacity,
                                                            size_t* needed);

#ifdef __cplusplus
}
#endif

#endif /* BITSEARCH_PREDICTOR_H_ */
