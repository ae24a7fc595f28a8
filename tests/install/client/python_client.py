"""python_client.py MODEL ROWS MODE: as c_client.c. MODE: bytes, lists, numpy or strided."""

import array
import sys
import threading

import bitsearch_predictor

predictor = bitsearch_predictor.Predictor(sys.argv[1])
with open(sys.argv[2], encoding="utf-8") as file:
    rows = [[int(word) for word in line.split()] for line in file]
mode = sys.argv[3]
if mode == "bytes":
    batch = bytes(value for row in rows for value in row)
elif mode == "lists":
    batch = rows
else:
    import numpy

    batch = numpy.array(rows, dtype=numpy.uint8)
    if mode == "strided":
        batch = numpy.repeat(batch, 2, axis=0)[::2]
        assert not batch.flags.c_contiguous
    try:
        predictor.predict(batch.astype(numpy.int64))
        raise SystemExit("64-bit rows were taken for bytes")
    except TypeError:
        pass
result = predictor.predict(batch)
if mode == "numpy":
    # Results are seen by NumPy without a copy.
    view = numpy.asarray(result.top1_percent)
    assert view.dtype == numpy.float64 and numpy.shares_memory(view, result.top1_percent)
costs = len(predictor.cost_names)
for r in range(len(rows)):
    values = [result.top1_percent[r], result.standard_deviation_percent[r]]
    values += result.costs[r * costs : (r + 1) * costs]
    print(*("%.17g" % value for value in values), result.outside_training_range[r])

# Names lead to the same rows; threads share the handle; mistakes raise and name what is wrong.
named = {gene.name: gene.values[v] for gene, v in zip(predictor.genes, rows[0])}
assert predictor.parse(named) == bytes(rows[0])
layers = {}
for name, value in named.items():
    layer, bits = name.rsplit(".", 1)
    layers.setdefault(layer, {"name": layer})[bits] = int(value)
assert predictor.parse_config({"layers": list(layers.values())}) == bytes(rows[0])
assert "space" in predictor.description()
different = []


def again():
    for _ in range(20):
        if predictor.predict(batch) != result:
            different.append(True)


threads = [threading.Thread(target=again) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not different
for mistake, status in (
    (lambda: predictor.parse({"layer0.weight_bits": 3}), "bad_candidate"),
    (lambda: predictor.predict(array.array("B", [9] * len(rows[0]))), "bad_candidate"),
    (lambda: bitsearch_predictor.Predictor("/no/such/file"), "file_not_found"),
    (lambda: bitsearch_predictor.Predictor.from_bytes(b"BSPRED"), "bad_file"),
):
    try:
        mistake()
        raise SystemExit("a mistake passed")
    except bitsearch_predictor.PredictorError as error:
        assert error.status == status and str(error), error
predictor.close()
try:
    predictor.predict(batch)
    raise SystemExit("a closed predictor answered")
except ValueError:
    pass
