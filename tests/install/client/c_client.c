/* c_client MODEL ROWS: predicts each row (value indices separated by blanks) and prints mean,
 * deviation, costs and the outside flag, as write_test_predictor does. One batch call. */
#include <bitsearch/predictor.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  bitsearch_predictor* predictor = NULL;
  FILE* file;
  size_t genes, costs, count = 0, filled = 0, capacity = 1024, r, c;
  unsigned value;
  uint8_t* rows;
  uint8_t* outside;
  double *mean, *deviation, *cost;
  if (argc != 3) return 2;
  if (bitsearch_predictor_open(argv[1], &predictor) != BITSEARCH_OK) {
    fprintf(stderr, "%s\n", bitsearch_last_error());
    return 3;
  }
  genes = bitsearch_predictor_gene_count(predictor);
  costs = bitsearch_predictor_cost_count(predictor);
  file = fopen(argv[2], "r");
  if (file == NULL) return 3;
  rows = malloc(capacity);
  while (rows != NULL && fscanf(file, "%u", &value) == 1) {
    if (filled == capacity) rows = realloc(rows, capacity *= 2);
    if (rows != NULL) rows[filled++] = (uint8_t)value;
  }
  fclose(file);
  if (rows == NULL) return 1;
  count = filled / genes;
  mean = malloc(count * sizeof *mean);
  deviation = malloc(count * sizeof *deviation);
  cost = malloc(count * costs * sizeof *cost);
  outside = malloc(count);
  if (mean == NULL || deviation == NULL || cost == NULL || outside == NULL) return 1;
  if (bitsearch_predictor_predict(predictor, rows, count, mean, deviation, cost, outside) !=
      BITSEARCH_OK) {
    fprintf(stderr, "%s\n", bitsearch_last_error());
    return 3;
  }
  for (r = 0; r < count; ++r) {
    printf("%.17g %.17g ", mean[r], deviation[r]);
    for (c = 0; c < costs; ++c) printf("%.17g ", cost[r * costs + c]);
    printf("%d\n", outside[r]);
  }
  free(rows);
  free(mean);
  free(deviation);
  free(cost);
  free(outside);
  bitsearch_predictor_close(predictor);
  return 0;
}
