"""A float Graph as a torch.nn.Module: trains its constants and writes them back.

Activations are in the Graph's layout. A channels-last tensor seen through a permutation is what torch calls
the channels_last memory format, so image ops get a view and no data moves.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Op
from toolchain.ir.ops import OPS

TRAINED = frozenset({"weight", "bias", "gamma", "beta"})
"""Roles of the op table whose constants are parameters; all other constants are buffers."""

Parts = list[torch.Tensor]


class GraphModule(nn.Module):
    """Computes `graph` in float32 for any number of samples.

    momentum: share of a batch in batch norm's running statistics; None: they average all batches alike
    In train mode batch norm uses the batch's statistics and updates the running ones. to_graph() has the
    digest of `graph` until something trains. Raises Unsupported for an op that has no float form here.
    """

    def __init__(self, graph: Graph, momentum: float | None = 0.1):
        super().__init__()
        _check(graph)
        self.graph, self.momentum = graph, momentum
        self.keys: dict[str, str] = {}
        self.batches = 0
        trained = trained_constants(graph)
        for index, tensor in enumerate(graph.constants):
            self.keys[tensor.name] = f"constant{index}"  # torch allows no "." in a name
            value = torch.from_numpy(np.array(tensor.data))
            if tensor.name in trained:
                self.register_parameter(self.keys[tensor.name], nn.Parameter(value))
            else:
                self.register_buffer(self.keys[tensor.name], value)

    def constant(self, name: str) -> torch.Tensor:
        """The parameter or buffer of a constant of the graph."""
        return getattr(self, self.keys[name])

    def forward(self, *inputs) -> dict[str, torch.Tensor]:
        """Graph output -> (N, ...), of one mapping by input name or of the inputs in the graph's order."""
        named = isinstance(inputs[0], Mapping)
        values = dict(inputs[0]) if named else dict(zip(self.graph.inputs, inputs, strict=True))
        self.batches += self.training
        for op in self.graph.ops:
            parts = [values[n] if n in values else self.constant(n) for n in op.inputs]
            values[op.name] = FORWARD[op.kind](self, op, parts)
        return {name: values[name] for name in self.graph.outputs}

    def to_graph(self) -> Graph:
        """The graph with the constants as they are now."""
        changed = []
        for tensor in self.graph.constants:
            value = self.constant(tensor.name).detach().cpu().numpy()
            if value.tobytes() != tensor.data.tobytes():
                changed.append(replace(tensor, data=value.copy()))
        return self.graph.with_tensors(*changed)


def _check(graph: Graph) -> None:
    """Every op has a float form, and the first axis is the batch all the way."""
    if missing := sorted({op.kind for op in graph.ops} - set(FORWARD)):
        raise Unsupported(f"{graph.name}: training has no {', '.join(missing)}; train the float graph")
    for op in graph.ops:
        if graph.tensors[op.name].shape[:1] != (1,) or op.attrs.get("perm", (0,))[0] != 0:
            raise Unsupported(f"{op.name}: {op.kind} moves the batch away from the first axis; such a graph "
                              f"can be run but not trained")


def trained_constants(graph: Graph) -> set[str]:
    """Names of the float constants that some op reads as a weight, bias, gamma or beta."""
    roles = ((role, name) for op in graph.ops for role, name in zip(OPS[op.kind].inputs, op.inputs))
    return {name for role, name in roles if role in TRAINED and graph.tensors[name].is_constant}


# One function per kind: (module, op, inputs) -> output, all in the Graph's layout -------------------------

def to_torch(x: torch.Tensor) -> torch.Tensor:
    """[N, H, W, C] seen as [N, C, H, W]; a weight [O, h, w, I] as [O, I, h, w]."""
    return x.permute(0, 3, 1, 2)


def from_torch(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def activate(op: Op, x: torch.Tensor) -> torch.Tensor:
    return {None: lambda y: y, "relu": functional.relu, "relu6": functional.relu6}[op.attrs["activation"]](x)


def pad_spatial(x: torch.Tensor, op: Op, value: float) -> torch.Tensor:
    """[N, C, H, W] with the op's pads around it."""
    top, bottom, left, right = op.attrs["pads"]
    return functional.pad(x, (left, right, top, bottom), value=value) if any(op.attrs["pads"]) else x


def convolve(op: Op, x, weight, bias, groups: int) -> torch.Tensor:
    """x in the Graph's layout, the weight in torch's."""
    top, bottom, left, right = op.attrs["pads"]
    x, pads = to_torch(x), (top, left)
    if (top, left) != (bottom, right):
        x, pads = pad_spatial(x, op, 0.0), (0, 0)
    y = functional.conv2d(x, weight, bias, op.attrs["stride"], pads, op.attrs["dilation"], groups)
    return activate(op, from_torch(y))


def conv2d(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    x, weight, bias = parts
    return convolve(op, x, to_torch(weight), bias, 1)


def depthwise_conv2d(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    """[1, h, w, C * multiplier] is torch's [C * multiplier, 1, h, w], in the same order."""
    x, weight, bias = parts
    return convolve(op, x, weight.permute(3, 0, 1, 2), bias, x.shape[-1])


def fully_connected(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    return activate(op, functional.linear(*parts))


def batch_norm(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    x, gamma, beta, mean, variance = parts
    momentum = 1 / max(module.batches, 1) if module.momentum is None else module.momentum
    y = to_torch(x) if x.ndim == 4 else x.reshape(-1, x.shape[-1])
    y = functional.batch_norm(y, mean, variance, gamma, beta, module.training, momentum, op.attrs["epsilon"])
    return from_torch(y) if x.ndim == 4 else y.reshape(x.shape)


def binary(function: Callable) -> Callable[..., torch.Tensor]:
    return lambda module, op, parts: activate(op, function(*parts))


def unary(function: Callable) -> Callable[..., torch.Tensor]:
    return lambda module, op, parts: function(*parts)


def leaky_relu(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    return functional.leaky_relu(*parts, op.attrs["alpha"])


def softmax(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    return functional.softmax(parts[0] * op.attrs["beta"], -1)


def max_pool2d(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    x = pad_spatial(to_torch(parts[0]), op, -torch.inf)
    return activate(op, from_torch(functional.max_pool2d(x, op.attrs["kernel"], op.attrs["stride"])))


def average_pool2d(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    """The mean of what lies inside the input: that of the padded window over the share that is inside."""
    x = to_torch(parts[0])
    y = functional.avg_pool2d(pad_spatial(x, op, 0.0), op.attrs["kernel"], op.attrs["stride"])
    if any(op.attrs["pads"]):
        inside = pad_spatial(torch.ones_like(x[:1, :1]), op, 0.0)
        y = y / functional.avg_pool2d(inside, op.attrs["kernel"], op.attrs["stride"])
    return activate(op, from_torch(y))


def mean(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    return parts[0].mean(op.attrs["axes"], keepdim=op.attrs["keepdims"])


def pad(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    """torch lists (before, after) from the last axis backwards."""
    return functional.pad(parts[0], [n for pair in reversed(op.attrs["pads"]) for n in pair])


def concat(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    """A constant among the parts has one sample and serves every sample."""
    count = max(len(part) for part in parts)
    return torch.cat([part.expand(count, *part.shape[1:]) for part in parts], op.attrs["axis"])


def reshape(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    """The leading 1 of the shape stands for the samples."""
    return parts[0].reshape(len(parts[0]), *op.attrs["shape"][1:])


def transpose(module: GraphModule, op: Op, parts: Parts) -> torch.Tensor:
    return parts[0].permute(op.attrs["perm"])


FORWARD: Mapping[str, Callable[[GraphModule, Op, Parts], torch.Tensor]] = {
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "fully_connected": fully_connected,
    "batch_norm": batch_norm,
    "add": binary(torch.add),
    "sub": binary(torch.sub),
    "mul": binary(torch.mul),
    "relu": unary(functional.relu),
    "relu6": unary(functional.relu6),
    "leaky_relu": leaky_relu,
    "logistic": unary(torch.sigmoid),
    "tanh": unary(torch.tanh),
    "softmax": softmax,
    "average_pool2d": average_pool2d,
    "max_pool2d": max_pool2d,
    "mean": mean,
    "pad": pad,
    "concat": concat,
    "reshape": reshape,
    "transpose": transpose,
}
