"""Accuracy and cost of bit-width configurations, predicted: the C library for Python.

Standard library only. Rows may be anything with the buffer protocol (bytes, array, NumPy uint8);
results are array.array, which numpy.asarray() wraps without copying. A Predictor may be used from
several threads: calls release the interpreter's lock.

    predictor = Predictor("model.bspred")
    row = predictor.parse({"conv1.weight_bits": 8, "conv1.activation_bits": 8, ...})
    predictor.predict(row).top1_percent[0]

The library libbitsearch_predictor.so.0 is looked for under the path in the environment variable
BITSEARCH_PREDICTOR_LIBRARY, beside this file, then where the system's loader looks.
"""

from __future__ import annotations

import array
import ctypes
import ctypes.util
import json
import os
from typing import Any, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Union

__all__ = ["Gene", "Predictions", "Predictor", "PredictorError"]

_LIBRARY = "libbitsearch_predictor.so.0"
_API_VERSION = 1
_Values = Mapping[str, Union[str, int]]
_Path = Union[str, "os.PathLike[str]"]


class PredictorError(Exception):
    """A call that failed; `status` is its name, such as "bad_candidate"."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class Gene(NamedTuple):
    """One decision and the texts of its values; a row holds the index of one of them."""

    name: str
    values: List[str]


class Predictions(NamedTuple):
    """Element i belongs to row i. `costs` has one entry per cost name and row, row after row;
    infinity where the device cannot run the configuration."""

    top1_percent: "array.array[float]"
    standard_deviation_percent: "array.array[float]"
    costs: "array.array[float]"
    outside_training_range: "array.array[int]"


def _load() -> ctypes.CDLL:
    given = os.environ.get("BITSEARCH_PREDICTOR_LIBRARY")
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), _LIBRARY)
    if given:
        library = ctypes.CDLL(given)
    elif os.path.exists(beside):
        library = ctypes.CDLL(beside)
    else:
        library = ctypes.CDLL(ctypes.util.find_library("bitsearch_predictor") or _LIBRARY)

    handle, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
    signatures: Mapping[str, Any] = {
        "bitsearch_api_version": (ctypes.c_uint32, []),
        "bitsearch_status_name": (text, [ctypes.c_int]),
        "bitsearch_last_error": (text, []),
        "bitsearch_predictor_open": (ctypes.c_int, [text, ctypes.POINTER(handle)]),
        "bitsearch_predictor_open_memory": (ctypes.c_int, [text, size, ctypes.POINTER(handle)]),
        "bitsearch_predictor_close": (None, [handle]),
        "bitsearch_predictor_gene_count": (size, [handle]),
        "bitsearch_predictor_gene_name": (text, [handle, size]),
        "bitsearch_predictor_value_count": (size, [handle, size]),
        "bitsearch_predictor_value_text": (text, [handle, size, size]),
        "bitsearch_predictor_cost_count": (size, [handle]),
        "bitsearch_predictor_cost_name": (text, [handle, size]),
        "bitsearch_predictor_parse": (
            ctypes.c_int,
            [handle, ctypes.POINTER(text), ctypes.POINTER(text), size, ctypes.c_void_p],
        ),
        "bitsearch_predictor_predict": (
            ctypes.c_int,
            [handle, ctypes.c_void_p, size] + 4 * [ctypes.c_void_p],
        ),
        "bitsearch_predictor_describe": (
            ctypes.c_int,
            [handle, ctypes.c_void_p, size, ctypes.POINTER(size)],
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    if library.bitsearch_api_version() < _API_VERSION:
        raise PredictorError("unsupported_version", "the library is older than this module")
    return library


_loaded: Optional[ctypes.CDLL] = None


def _library() -> ctypes.CDLL:
    """The library, loaded when first needed, so that an import alone never fails."""
    global _loaded
    if _loaded is None:
        _loaded = _load()
    return _loaded


def _check(status: int) -> None:
    if status != 0:
        name = _library().bitsearch_status_name(status).decode()
        raise PredictorError(name, _library().bitsearch_last_error().decode("utf-8", "replace"))


def _zeros(kind: str, count: int) -> "array.array[Any]":
    return array.array(kind, bytes(array.array(kind).itemsize * count))


def _address(values: "array.array[Any]") -> int:
    return values.buffer_info()[0]


class Predictor:
    """An open predictor file. Also a context manager; closed at the latest when collected."""

    def __init__(self, path: _Path) -> None:
        """Raises PredictorError for a file that is missing, damaged or too new."""
        self._handle = ctypes.c_void_p()
        _check(_library().bitsearch_predictor_open(os.fsencode(path), ctypes.byref(self._handle)))
        self._describe()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Predictor":
        """The predictor in a file's bytes."""
        self = cls.__new__(cls)
        self._handle = ctypes.c_void_p()
        _check(
            _library().bitsearch_predictor_open_memory(
                content, len(content), ctypes.byref(self._handle)
            )
        )
        self._describe()
        return self

    def _describe(self) -> None:
        library, handle = _library(), self._handle
        self.genes: List[Gene] = [
            Gene(
                library.bitsearch_predictor_gene_name(handle, g).decode(),
                [
                    library.bitsearch_predictor_value_text(handle, g, v).decode()
                    for v in range(library.bitsearch_predictor_value_count(handle, g))
                ],
            )
            for g in range(library.bitsearch_predictor_gene_count(handle))
        ]
        self.cost_names: List[str] = [
            library.bitsearch_predictor_cost_name(handle, c).decode()
            for c in range(library.bitsearch_predictor_cost_count(handle))
        ]

    def close(self) -> None:
        if self._handle:
            _library().bitsearch_predictor_close(self._handle)
            self._handle = ctypes.c_void_p()

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()

    def _open_handle(self) -> ctypes.c_void_p:
        if not self._handle:
            raise ValueError("the predictor is closed")
        return self._handle

    def description(self) -> Any:
        """What the file says of itself, as parsed JSON."""
        needed = ctypes.c_size_t()
        library, handle = _library(), self._open_handle()
        library.bitsearch_predictor_describe(handle, None, 0, ctypes.byref(needed))
        text = ctypes.create_string_buffer(needed.value)
        _check(library.bitsearch_predictor_describe(handle, text, needed, None))
        return json.loads(text.value)

    def parse(self, values: _Values) -> bytes:
        """The row of named values, e.g. {"conv1.weight_bits": 4, ...}. Raises PredictorError naming
        the gene that is unknown, has no such value, or is missing."""
        texts = ctypes.c_char_p * len(values)
        names = texts(*(name.encode() for name in values))
        chosen = texts(*(str(value).encode() for value in values.values()))
        row = ctypes.create_string_buffer(len(self.genes))
        _check(
            _library().bitsearch_predictor_parse(
                self._open_handle(), names, chosen, len(values), row
            )
        )
        return row.raw

    def parse_config(self, config: Mapping[str, Any]) -> bytes:
        """The row of a configuration file (`bitsearch/config/1`, parsed JSON)."""
        values: dict[str, Union[str, int]] = {}
        for layer in config["layers"]:
            for bits in ("weight_bits", "activation_bits"):
                value = layer[bits]
                values[layer["name"] + "." + bits] = "fp32" if value == 32 else value
        return self.parse(values)

    def predict(self, rows: Any) -> Predictions:
        """Predicts a batch. `rows` is a buffer of unsigned bytes (one row after the other; a NumPy
        array of shape rows × genes will do), or a sequence of rows."""
        genes = len(self.genes)
        content = self._bytes_of(rows)
        if genes == 0 or len(content) % genes != 0:
            raise ValueError(f"got {len(content)} values, a row has {genes}")
        count = len(content) // genes
        try:
            source: Any = (ctypes.c_ubyte * len(content)).from_buffer(content)
        except TypeError:  # Read-only memory has no other way.
            source = bytes(content)
        result = Predictions(
            _zeros("d", count),
            _zeros("d", count),
            _zeros("d", count * len(self.cost_names)),
            _zeros("B", count),
        )
        _check(
            _library().bitsearch_predictor_predict(
                self._open_handle(),
                ctypes.cast(source, ctypes.c_void_p),
                count,
                *(_address(values) for values in result),
            )
        )
        return result

    @staticmethod
    def _bytes_of(rows: Any) -> memoryview:
        try:
            view = memoryview(rows)
        except TypeError:
            nested: Iterable[Sequence[int]] = rows
            return memoryview(bytearray(value for row in nested for value in row))
        if view.itemsize != 1:
            raise TypeError(f"rows must be of unsigned bytes, not of format {view.format!r}")
        if not view.c_contiguous:
            return memoryview(bytearray(view.tobytes()))
        return view.cast("B") if view.nbytes else memoryview(b"")
