"""What each step learns from: batches of the training samples, or of the user's own loader."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import random
from typing import Protocol

import numpy as np
import torch

from toolchain.data import Samples
from toolchain.errors import BadInput
from toolchain.ir.graph import Graph
from toolchain.python_file import blaming, named_in
from toolchain.train.distill import MOST_BYTES, tensors


@dataclass(frozen=True, eq=False)
class Batch:
    """feeds: input name -> (n, ...)
    y:     targets (n, ...), None without
    soft:  the teacher's outputs, output by output (n, ...); None where it is to be asked
    """

    feeds: Mapping[str, torch.Tensor]
    y: object
    soft: list[torch.Tensor] | None = None


class Batches(Protocol):
    """count: batches of every epoch."""

    count: int

    def epoch(self, number: int, start: int) -> Iterator[Batch]:
        """Those of an epoch, from 0, but for the first `start`; the same each time."""


def batch_count(samples: int, size: int) -> int:
    """How many batches of about `size`, none of a single sample unless there is only one."""
    return max(1, min(-(-samples // size), samples // 2))


class SampleBatches:
    """All samples in each epoch, in an order of its own; as float32 in memory where MOST_BYTES holds them.

    y:    what the loss takes for each sample, None without
    soft: the teacher's outputs for each sample, None where it is to be asked
    """

    def __init__(self, samples: Samples, size: int, seed: int, y: torch.Tensor | None,
                 soft: list[torch.Tensor] | None):
        self.count = batch_count(len(samples), size)
        self._samples, self._seed, self._y, self._soft = samples, seed, y, soft
        taken = sum(4 * int(np.prod(x.shape)) for x in samples.x.values())
        self._held = tensors(samples.feeds(slice(None))) if taken <= MOST_BYTES else None

    def epoch(self, number: int, start: int) -> Iterator[Batch]:
        order = np.random.default_rng((self._seed, number)).permutation(len(self._samples))
        for positions in np.array_split(order, self.count)[start:]:
            index = torch.from_numpy(positions)
            yield Batch(self._feeds(positions, index), None if self._y is None else self._y[index],
                        None if self._soft is None else [output[index] for output in self._soft])

    def _feeds(self, positions: np.ndarray, index: torch.Tensor) -> dict[str, torch.Tensor]:
        if self._held is None:
            return tensors(self._samples.feeds(positions))
        return {name: x.index_select(0, index) for name, x in self._held.items()}


class LoadedBatches:
    """What the user's loader gives: (epoch from 0, seed) -> batches (feeds by name, y or None).

    Feeds are arrays or CPU tensors in the shapes that samples may have; of one input, the array will do.
    An epoch has len() batches, where its batches have that, else as many as a first pass counts. What it
    draws from the generators of random, numpy and torch is decided by epoch and seed.
    targets: what the loss takes of a batch's y
    """

    def __init__(self, spec: str, loader: Callable, seed: int, graph: Graph,
                 targets: Callable[[np.ndarray], object]):
        self._spec, self._loader, self._seed = spec, loader, seed
        self._graph, self._targets = graph, targets
        with Draws(seed, 0).taken(), blaming(spec):
            given = self._given(0)
            self.count = len(given) if hasattr(given, "__len__") else sum(1 for _ in given)
        if not self.count:
            raise BadInput(f"{spec}: gives no batches for epoch 0")

    def epoch(self, number: int, start: int) -> Iterator[Batch]:
        done = 0
        for done, item in enumerate(self._items(number), 1):
            if done > self.count:
                break
            if done > start:
                yield self._batch(item)
        if done != self.count:
            raise BadInput(f"{self._spec}: gives {'more' if done > self.count else done} batches for epoch "
                           f"{number}, where epoch 0 had {self.count}; give as many each time")

    def _items(self, number: int) -> Iterator[object]:
        draws, end = Draws(self._seed, number), object()
        with draws.taken(), blaming(self._spec):
            given = iter(self._given(number))
        while True:
            with draws.taken(), blaming(self._spec):
                item = next(given, end)
            if item is end:
                return
            yield item

    def _given(self, number: int) -> Iterable:
        given = self._loader(number, self._seed)
        if not isinstance(given, Iterable):
            raise BadInput(f"{self._spec}: gives a {type(given).__name__} instead of batches (feeds, "
                           f"y)")
        return given

    def _batch(self, item: object) -> Batch:
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise BadInput(f"{self._spec}: gives a {type(item).__name__} as a batch; give (feeds by name, "
                           f"y or None)")
        with blaming(self._spec):
            given, y = item
            x = {str(key): np.asarray(value) for key, value in given.items()} if isinstance(
                given, Mapping) else {"x": np.asarray(given)}
            y = None if y is None else np.asarray(y)
        count = {len(array) if array.ndim else 0 for array in (*x.values(), *([] if y is None else [y]))}
        if len(count) != 1 or 0 in count:
            raise BadInput(f"{self._spec}: a batch of {sorted(count)} samples; each array holds as many")
        samples = Samples(self._spec, x, None, None, np.arange(count.pop())).fit_to(self._graph)
        return Batch(tensors(samples.feeds(slice(None))), None if y is None else self._targets(y))


class Draws:
    """Random numbers of an epoch of their own, whatever else draws between them."""

    def __init__(self, seed: int, epoch: int):
        outer, (first,) = _generators(), np.random.SeedSequence((seed, epoch)).generate_state(1)
        random.seed(int(first))
        np.random.seed(first)
        torch.manual_seed(int(first))
        self._states = _generators()
        _set_generators(outer)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """What is drawn inside comes from them."""
        outer = _generators()
        _set_generators(self._states)
        try:
            yield
        finally:
            self._states = _generators()
            _set_generators(outer)


def _generators() -> tuple:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _set_generators(states: tuple) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


@contextmanager
def own_function(spec: str) -> Iterator[Callable | None]:
    """What the user's "file.py:function" names, good inside; None for "". Raises BadInput."""
    if not spec:
        yield None
        return
    with named_in(spec) as found:
        if not callable(found):
            file, _, name = spec.rpartition(":")
            raise BadInput(f"{file}: has no function '{name}'")
        yield found
