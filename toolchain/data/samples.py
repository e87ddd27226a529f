"""Samples: what a model is calibrated, fine-tuned, selected and evaluated with.

Arrays keep the dtype they are stored in and become float32 batch by batch, tokens and masks what the graph
reads. Rows stay where they are until a batch is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
import math
from typing import Literal

import numpy as np

from toolchain.data.manifest import Preprocessing, Split
from toolchain.data.rows import Array, Rows, pick, reshaped
from toolchain.errors import BadSamples
from toolchain.ir.graph import Graph
from toolchain.ir.ops import PLAIN
from toolchain.ir.readers import TO_FIRST


@dataclass(frozen=True, eq=False)
class Samples:
    """N samples for each input, with or without labels.

    x:             input name ("x" until `fit_to`) -> (N, ...), in the dtype they are stored in; Rows of it
                   are read when they are indexed
    y:             (N,) class indices or (N, ...) targets, None without
    splits:        (N,) split names, None where the source has none
    rows:          (N,) position of each sample in its file, for messages
    layout:        "channels_last", or None where the source does not say
    channels:      their names as the set has them, () where it has not
    axes:          input name -> how a stored batch is transposed into the graph's layout; set by `fit_to`
    numbers:       input name -> dtype, of inputs that are no reals (tokens, masks); set by `fit_to`
    entries:       input name -> of the tables that its tokens look up, how many the smallest has; set by
                   `fit_to`
    files:         what the source calls each of its samples, by position; () where they have no names
    groups:        what each sample, by position, must share a split with: a subject, a recording; () where
                   the source does not say
    notes:         what the source holds and was left out, in words
    remedy:        what to write where samples are no shape that a graph takes
    """

    name: str
    x: Mapping[str, Array]
    y: np.ndarray | None
    splits: np.ndarray | None
    rows: np.ndarray
    preprocessing: Preprocessing = Preprocessing()
    layout: Literal["channels_last"] | None = None
    classes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    axes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, int] = field(default_factory=dict)
    files: Sequence[str] = ()
    groups: Sequence[str] = ()
    notes: tuple[str, ...] = ()
    remedy: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def has(self, name: Split) -> bool:
        """Whether `split` gives any."""
        return self.splits is None or name in self.splits

    def split(self, name: Split) -> "Samples":
        """The samples of one split. Samples without splits serve as any.

        Raises BadSamples where there are splits but not this one: none borrows from another.
        """
        if self.splits is None:
            return self
        if not (chosen := np.flatnonzero(self.splits == name)).size:
            there = ", ".join(np.unique(self.splits))
            raise BadSamples(f"{self.name}: no samples for '{name}', only for {there}; "
                             f"use a set that has them, or an .npz of such samples without 'split'")
        return self.pick(chosen)

    def take(self, count: int) -> "Samples":
        """At most `count` samples, evenly spaced, because files are often sorted by class."""
        if count >= len(self):
            return self
        return self.pick(np.arange(count) * len(self) // count)

    def pick(self, index: np.ndarray) -> "Samples":
        """The samples at those positions, in that order."""
        x = {key: pick(array, index) for key, array in self.x.items()}
        y, splits = (None if array is None else array[index] for array in (self.y, self.splits))
        return replace(self, x=x, y=y, splits=splits, rows=self.rows[index])

    def called(self, row: int) -> str:
        """A sample's position in its source, and its name where it has one."""
        return f"{row} ({self.files[row]})" if self.files else str(row)

    def feeds(self, index: slice | np.ndarray) -> dict[str, np.ndarray]:
        """{input name: (n, ...) float32} at `index`, preprocessed; numbers in their own dtype.

        Raises BadSamples on NaN, Inf, and on what is no number of that dtype.
        """
        return {key: self._converted(key, index) for key in self.x}

    def batches(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """Feeds of `size` samples at a time, in order; the last may hold fewer."""
        for start in range(0, len(self), size):
            yield self.feeds(slice(start, start + size))

    def values(self, key: str, stored: np.ndarray) -> np.ndarray:
        """Stored samples of an input as the float32 that is fed; tokens and masks as they are."""
        if key in self.numbers:
            return stored
        with np.errstate(over="ignore"):
            x = stored.astype(np.float32)
        if self.preprocessing != Preprocessing():
            x -= np.asarray(self.preprocessing.mean, np.float32)
            x /= np.asarray(self.preprocessing.scale, np.float32)
        return x

    def _converted(self, key: str, index: slice | np.ndarray) -> np.ndarray:
        if key in self.numbers:
            return self._numbers(key, index)
        x = self.values(key, self.x[key][index])
        if x.size and not (math.isfinite(x.min()) and math.isfinite(x.max())):
            bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
            sample = self.called(self.rows[index][bad][0])
            raise BadSamples(f"{self.name}: sample {sample} of '{key}' holds NaN or Inf; "
                             f"repair it or drop it")
        return np.ascontiguousarray(x.transpose(self.axes[key])) if key in self.axes else x

    def _numbers(self, key: str, index: slice | np.ndarray) -> np.ndarray:
        """Tokens, masks: never preprocessed, in the dtype that the graph reads."""
        x = self.x[key][index]
        with np.errstate(invalid="ignore"):
            numbers = x.astype(self.numbers[key])
        if (bad := numbers != x).any():
            raise self._no_number(key, index, x, bad, self.numbers[key])
        if key in self.entries and (bad := (numbers < 0) | (numbers >= self.entries[key])).any():
            raise self._no_number(key, index, x, bad, f"0 to {self.entries[key] - 1}")
        return numbers.transpose(self.axes[key]) if key in self.axes else numbers

    def _no_number(self, key: str, index: slice | np.ndarray, x: np.ndarray, bad: np.ndarray,
                   takes: str) -> BadSamples:
        row = self.rows[index][bad.reshape(len(x), -1).any(axis=1)][0]
        return BadSamples(f"{self.name}: sample {self.called(row)} of '{key}' holds {x[bad][0]}, but takes "
                          f"{takes}; is it the network's own vocabulary?")

    def fit_to(self, graph: Graph) -> "Samples":
        """The same samples keyed by the graph's input names and fed in its layout.

        They may be stored in the graph's own layout or in its source's (`graph.permutations`), images also
        channels last; axes of 1 may be there or not. Where both layouts have the same shape and the set does
        not state its own, it is the source's. Samples of any length are padded or cut. Raises BadSamples
        where a key is missing or a shape is neither.
        """
        fitted = {key: self._fitted(graph, key, array) for key, array in self._inputs_of(graph).items()}
        dtypes = {key: graph.tensors[key].dtype for key in fitted}
        return replace(self, x={key: array for key, (array, _) in fitted.items()}, y=self.targets(graph),
                       axes={key: perm for key, (_, perm) in fitted.items() if perm},
                       numbers={key: dtype for key, dtype in dtypes.items() if dtype in PLAIN - {"float32"}},
                       entries=_entries(graph))

    def targets(self, graph: Graph) -> np.ndarray | None:
        """y in the layout of the graph's first output, where it has the shape that the source's has; images
        also where they are channels last and the output is channels first."""
        if self.y is None or not graph.outputs:
            return self.y
        perm, own = graph.permutations.get(graph.outputs[0]), graph.tensors[graph.outputs[0]].shape[1:]
        if perm is None:
            turned = self.y.shape[1:] != own and _channels_first(self.y.shape[1:]) == own
            return self.y.transpose(TO_FIRST[4]) if turned else self.y
        source = tuple((0, *own)[axis] for axis in perm)[1:]
        stays = self.y.shape[1:] != source or (self.layout == "channels_last" and own == source)
        return self.y if stays else self.y.transpose(np.argsort(perm))

    def _inputs_of(self, graph: Graph) -> dict[str, Array]:
        """The arrays by the graph's names, by its source's, or in the order of its inputs."""
        for names in (graph.inputs, tuple(dict(graph.source.ports).get(key, key) for key in graph.inputs),
                      tuple(map(in_order, range(len(graph.inputs))))):
            if set(names) <= set(self.x):
                return {key: self.x[name] for key, name in zip(graph.inputs, names)}
        if "x" in self.x and len(graph.inputs) == 1:
            return {graph.inputs[0]: self.x["x"]}
        raise BadSamples(f"{self.name}: has arrays {', '.join(self.x)} but {graph.name} takes "
                         f"{', '.join(graph.inputs)}; name one array after each input")

    def _fitted(self, graph: Graph, key: str, array: Array) -> tuple[Array, tuple[int, ...] | None]:
        """The samples of an input, and how a batch of them is transposed into the graph's layout."""
        shape = graph.tensors[key].shape
        perm = graph.permutations.get(key, tuple(range(len(shape))))
        inner, source = shape[1:], tuple(shape[axis] for axis in perm)[1:]
        got = array.shape[1:]
        if isinstance(array, Rows) and array.resized and (read := array.resized(inner)):
            return replace(array, one=inner, read=read, resized=None), None
        if got == inner and (self.layout == "channels_last" or got != source):
            return array, None
        if got == source:
            return array, tuple(int(axis) for axis in np.argsort(perm)) if key in graph.permutations else None
        if _channels_first(got) == inner:
            return array, TO_FIRST[4]
        for one in ((inner, source) if self.layout == "channels_last" else (source, inner)):
            if _without_ones(got) == _without_ones(one):
                return self._fitted(graph, key, reshaped(array, one))
        expected = f"{inner}" if inner == source else f"{inner}, or {source} as its source lays it out"
        raise BadSamples(f"{self.name}: '{key}' holds samples of shape {got}; {graph.name} takes {expected}"
                         f"{self.remedy and '; '}{self.remedy}")


def _entries(graph: Graph) -> dict[str, int]:
    """Input that indexes tables -> entries of the smallest."""
    found: dict[str, int] = {}
    for op in graph.ops:
        if op.kind == "gather" and op.inputs[1] in graph.inputs:
            size = graph.tensors[op.inputs[0]].shape[op.attrs["axis"]]
            found[op.inputs[1]] = min(size, found.get(op.inputs[1], size))
    return found


def in_order(position: int) -> str:
    """The key of an array that has no name, only a place among a model's inputs."""
    return f"input {position}"


def _channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of an image that is channels last; empty where the shape is none."""
    return (shape[2], *shape[:2]) if len(shape) == 3 else ()


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
