"""The zoo's networks in the runtimes that they come from, and the transposes that they have of their own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.zoo.catalogue import Entry

Arrays = Mapping[str, np.ndarray]
MOVING = {"permute", "transpose", "movedim", "moveaxis", "swapaxes", "t"}
"""Torch functions that turn axes."""


def source_runtime(entry: Entry, feeds: Arrays, outputs: Sequence[str]) -> tuple[Arrays, int]:
    """(what the source answers to samples in its own layout, how often it turns axes).

    outputs: what we call its outputs, in order
    """
    found, turned = _torch(entry, feeds) if entry.is_torch else _onnx(entry, feeds)
    return dict(zip(outputs, found, strict=True)), turned


def _onnx(entry: Entry, feeds: Arrays) -> tuple[list[np.ndarray], int]:
    from toolchain.runtime.onnxruntime import OnnxRuntime

    model = Path(entry.open()).read_bytes()
    return list(OnnxRuntime(model).run(feeds).values()), transposes_in(model)


def _torch(entry: Entry, feeds: Arrays) -> tuple[list[np.ndarray], int]:
    import torch

    from toolchain.python_file import call_function

    network, _ = call_function(entry.open())
    with torch.no_grad(), _counting() as counter:
        found = network.eval()(*map(torch.from_numpy, feeds.values()))
    return [value.numpy() for value in (found if isinstance(found, tuple) else (found,))], counter.turned


def _counting():
    """A context that counts the calls which turn axes, in `turned`."""
    from torch.overrides import TorchFunctionMode

    class Counting(TorchFunctionMode):
        turned = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            self.turned += getattr(function, "__name__", "") in MOVING
            return function(*args, **kwargs or {})

    return Counting()


def transposes_in(model: bytes) -> int:
    """Transpose nodes of an .onnx file."""
    import onnx

    return sum(node.op_type == "Transpose" for node in onnx.load_from_string(model).graph.node)
