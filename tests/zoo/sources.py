"""The zoo's networks in the runtimes that they come from, and the transposes that they have of their own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.zoo.catalogue import Entry

Arrays = Mapping[str, np.ndarray]
MOVING = {"permute", "transpose"}
"""ATen calls that turn axes."""
ATTENTION = "scaled_dot_product"
"""In the name of ATen calls that turn the keys."""


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
    torch.backends.mha.set_fastpath_enabled(False)  # one call that says nothing of what it turns
    with torch.no_grad(), _counting() as counter:
        found = network.eval()(*map(torch.from_numpy, feeds.values()))
    torch.backends.mha.set_fastpath_enabled(True)
    return [value.numpy() for value in (found if isinstance(found, tuple) else (found,))], counter.turned


def _counting():
    """A context that counts the calls which turn axes, in `turned`."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):
        turned = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            name = function.overloadpacket.__name__
            self.turned += name in MOVING or ATTENTION in name
            return function(*args, **kwargs or {})

    return Counting()


def transposes_in(model: bytes) -> int:
    """Transpose nodes of an .onnx file."""
    import onnx

    return sum(node.op_type == "Transpose" for node in onnx.load_from_string(model).graph.node)
