"""Samples from Python: any iterable, and what other tools' calibration takes.

Items are read once, in order, and written to a temporary file on the disk, so that samples have a length, can
be chosen from and are read again, whatever made them; memory holds one item. At most `MOST` samples or
`MOST_BYTES` are taken: what has no end is cut there, and the samples' notes say so.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from toolchain.data.manifest import require_split_names
from toolchain.data.rows import Spool
from toolchain.data.samples import Samples, in_order
from toolchain.errors import BadSamples

MOST = 10_000
MOST_BYTES = 1 << 31
REMEDY = "give single samples as arrays, or say batched=False to toolchain.data.from_iterable"


def from_iterable(items: object, name: str = "samples", *, batched: bool | None = None,
                  most: int = MOST) -> Samples:
    """Samples of an iterable's items, or of one of these, told by what it can do:

    get_next() -> {input: batch} or None       onnxruntime's CalibrationDataReader
    get_data(), get_inference_data()           NNCF's Dataset, its transform function applied
    {signature: iterable of {input: batch}}    LiteRT-CLI's get_calibration_data(): the only signature, or
                                               "serving_default"
    {input: (N, ...)}                          arrays as in an .npz, "y" and "split" among them
    a function                                 what it gives, as TFLite's representative_dataset

    An item is a sample, a mapping of inputs, a list of inputs in the model's order, (sample, label), or
    (signature, mapping) as TFLite has it. Mappings and lists of arrays hold batches, whose first axis counts
    samples, as do arrays beside a label that has such an axis, and items of what has a `batch_size`;
    `batched` says otherwise. Raises BadSamples where items are no such thing or differ in shape.
    """
    if isinstance(items, Samples):
        return items
    if isinstance(items, type) or (callable(items) and not _gives_items(items)):
        items = items()
    if isinstance(items, Samples):
        return items
    if isinstance(items, np.ndarray) or (_holds_arrays(items) and isinstance(items, Mapping)):
        return _of_arrays(items, name)
    known, source = _items(items, name)
    collected = Collected(name, most, known if batched is None else batched)
    return collected.read(source).samples()


def _gives_items(items: object) -> bool:
    return any(hasattr(items, name) for name in ("__iter__", "__getitem__", "get_next", "get_inference_data"))


def _items(items: object, name: str) -> tuple[bool | None, Iterable]:
    """Whether items are batches, None where each tells, and the items."""
    if hasattr(items, "get_next"):
        return True, iter(items.get_next, None)
    if hasattr(items, "get_inference_data") and hasattr(items, "get_data"):
        return True, items.get_inference_data()
    if isinstance(items, Mapping):
        return True, _signature(items, name)
    if not _gives_items(items) or isinstance(items, (str, bytes)):
        raise BadSamples(f"{name}: is {type(items).__name__}; it must be an iterable of samples, a function "
                         f"that gives one, a CalibrationDataReader or an nncf.Dataset")
    if getattr(items, "batch_size", None):  # a DataLoader gives [samples, labels], a list
        return True, (tuple(item) if isinstance(item, list) else item for item in items)
    return None, items


def _signature(items: Mapping, name: str) -> Iterable:
    key = next(iter(items)) if len(items) == 1 else "serving_default"
    if key not in items:
        raise BadSamples(f"{name}: has signatures {', '.join(map(str, items)) or 'none'}; give one, or call "
                         f"the one that is deployed serving_default")
    return items[key]


def _holds_arrays(items: object) -> bool:
    values = items.values() if isinstance(items, Mapping) else items
    return isinstance(items, (Mapping, list, tuple)) and len(items) > 0 and all(map(_is_array, values))


def _is_array(value: object) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _of_arrays(items: np.ndarray | Mapping, name: str) -> Samples:
    """Arrays that hold all samples."""
    arrays = {"x": items} if not isinstance(items, Mapping) else items
    splits = None if "split" not in arrays else np.asarray(arrays["split"])
    arrays = {str(key): as_array(name, value) for key, value in arrays.items() if key != "split"}
    y = arrays.pop("y", None)
    given = {**arrays, "y": y, "split": splits}
    counts = {key: len(array) if array.ndim else 0 for key, array in given.items() if array is not None}
    if not arrays or len(set(counts.values())) != 1 or not min(counts.values()):
        told = ", ".join(f"'{key}' {count}" for key, count in counts.items())
        raise BadSamples(f"{name}: its arrays must hold as many samples each, at least one, but hold {told}")
    require_split_names(name, splits)
    for key, array in arrays.items():
        _require_values(name, key, array)
    return Samples(name, arrays, y, splits, np.arange(len(next(iter(arrays.values())))))


@dataclass(eq=False)
class Collected:
    """Items of one source on their way to the disk.

    batched: whether the first axis of an item's arrays counts samples; None: what it looks like
    """

    name: str
    most: int
    batched: bool | None
    count: int = 0
    cut: bool = False
    spools: dict[str, Spool] = field(default_factory=dict)
    labels: list[np.ndarray] = field(default_factory=list)

    def read(self, items: Iterable) -> Self:
        """All items up to the limits."""
        source: Iterator = iter(items)
        for number, item in enumerate(source):
            self._take(f"{self.name}: item {number}", item)
            if self.count >= self.most or sum(spool.nbytes for spool in self.spools.values()) >= MOST_BYTES:
                self.cut = self.cut or next(source, None) is not None
                break
        return self

    def samples(self) -> Samples:
        if not self.count:
            raise BadSamples(f"{self.name}: gave no samples")
        notes = (f"only its first {self.count:,} samples were read",) if self.cut else ()
        return Samples(self.name, {key: spool.rows() for key, spool in self.spools.items()},
                       np.array(self.labels) if self.labels else None, None, np.arange(self.count),
                       notes=notes, remedy=REMEDY)

    def _take(self, where: str, item: object) -> None:
        arrays, y = _parts(where, item)
        batched = self._is_batch(item, arrays, y)
        if not batched:
            arrays = {key: array[None] for key, array in arrays.items()}
            y = None if y is None else y[None]
        given = (*arrays.values(), *([] if y is None else [y]))
        lengths = {len(array) if array.ndim else 0 for array in given}
        if len(lengths) != 1:
            raise BadSamples(f"{where}: its arrays hold {', '.join(map(str, sorted(lengths)))} samples; the "
                             f"first axis of each must be the batch")
        if self.count and (y is None) != (not self.labels):
            raise BadSamples(f"{where}: has {'no' if y is None else 'a'} label, unlike those before it")
        self._write(where, arrays, y, lengths.pop())

    def _is_batch(self, item: object, arrays: Mapping[str, np.ndarray], y: np.ndarray | None) -> bool:
        if self.batched is not None:
            return self.batched
        given = item[0] if isinstance(item, tuple) else item
        if isinstance(given, int | float) or (isinstance(given, list) and not _holds_arrays(given)):
            return False  # plain numbers
        if list(arrays) != ["x"] or not _is_array(given):
            return True
        x, = arrays.values()
        return y is not None and y.ndim > 0 and x.ndim > 0 and len(y) == len(x)

    def _write(self, where: str, arrays: Mapping[str, np.ndarray], y: np.ndarray | None, length: int) -> None:
        room = min(length, self.most - self.count)
        if self.spools and set(arrays) != set(self.spools):
            raise BadSamples(f"{where}: has inputs {', '.join(arrays)}, unlike those before it "
                             f"({', '.join(self.spools)})")
        for key, array in arrays.items():
            spool = self.spools.setdefault(key, Spool(array.shape[1:], array.dtype))
            if array.shape[1:] != spool.one or not np.can_cast(array.dtype, spool.dtype, "same_kind"):
                raise BadSamples(f"{where}: '{key}' is {array.dtype} of {array.shape[1:]}, unlike those "
                                 f"before it ({spool.dtype} of {spool.one}); give all the same")
            _require_values(where, key, array)
            for sample in array[:room]:
                spool.append(sample)
        if y is not None:
            self.labels.extend(y[:room])
        self.count += room
        self.cut = room < length


def _require_values(where: str, key: str, array: np.ndarray) -> None:
    if 0 in array.shape[1:]:
        raise BadSamples(f"{where}: '{key}' holds samples of shape {array.shape[1:]}, without a value")


def _parts(where: str, item: object) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """The inputs of an item and its labels."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str | None):
        item = item[1]  # (signature, inputs)
    y = None
    if isinstance(item, tuple | list) and _is_pair(item):
        item, y = item[0], as_array(where, item[1])
    if isinstance(item, Mapping):
        return {str(key): as_array(where, value) for key, value in item.items()}, y
    if _holds_arrays(item):
        names = ["x"] if len(item) == 1 else [in_order(i) for i in range(len(item))]
        return {key: as_array(where, value) for key, value in zip(names, item)}, y
    return {"x": as_array(where, item)}, y


def _is_pair(item: tuple | list) -> bool:
    """Whether it is (samples, labels): a tuple of two, or a list whose second is whole numbers in a row."""
    if len(item) != 2:
        return False
    if isinstance(item, tuple):
        return True
    x, y = item
    return _is_array(x) and _is_array(y) and x.ndim > 1 and y.ndim <= 1 and "int" in str(y.dtype)


def as_array(where: str, value: object) -> np.ndarray:
    """An array of numbers, also of a torch or TensorFlow tensor. Raises BadSamples for anything else."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
    except (ValueError, TypeError) as error:
        raise BadSamples(f"{where}: holds {type(value).__name__}, no array: {error}; {REMEDY}") from None
    if array.dtype.kind not in "fiub":
        raise BadSamples(f"{where}: holds {type(value).__name__} of {array.dtype}; it must hold numbers")
    return array
