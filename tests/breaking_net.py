"""A small network that default INT8 breaks: one layer's batch norm spreads its channels over 1000 to 1.

It is trained on gratings, and then rescaled so that it computes the same: each channel of the planted layer
times a factor, the depthwise weights that read it by the same factor. One channel is an outlier; per tensor,
all others share the few codes that it leaves them. Hard swishes stand around it, as in MobileNetV3 (Howard et
al. 2019).

In a variant one of them reads the planted layer itself, which leaves equalising nothing to do: no factor can
be moved past it.

`python -m tests.breaking_net FOLDER` writes it as breaking.onnx, the variant as breaking_swish.onnx, and the
samples of both as gratings.npz.
"""

from functools import cache
from pathlib import Path
import sys

import numpy as np

from toolchain.data import Samples
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph, Tensor, constant
from toolchain.recipe import TrainConfig
from toolchain.train.fit import fit, reestimate_batch_norm

CLASSES = 8
SIZE = 12
SPLITS = {"train": 1024, "calibration": 64, "selection": 400, "test": 400}
WIDTH = 16
SPREAD = 1000.0
OUTLIER = 5
PLANTED = "block.expand.bn"
"""The op that the planted batch norm, folded into its convolution and fused with its ReLU, ends up in."""


@cache
def breaking_net() -> tuple[Graph, Samples, str]:
    """(the FLOAT graph, samples with splits, the name of its op that INT8 breaks)."""
    return _planted(trained_net()), gratings(), f"{PLANTED}.relu"


@cache
def breaking_swish_net() -> tuple[Graph, Samples, str]:
    """The variant with a hard swish directly behind the planted batch norm, as `breaking_net` has it.

    Large factors make that hard swish a ReLU, nearly; so the batch norms behind it are estimated anew.
    """
    graph = _planted(trained_net("hard_swish"))
    return reestimate_batch_norm(graph, gratings().split("train").fit_to(graph)), gratings(), PLANTED


@cache
def trained_net(curve: str = "relu") -> Graph:
    """The network before anything is planted in it, which INT8 suits.

    curve: what reads the batch norm that is to be planted, "relu" or "hard_swish"
    """
    config = TrainConfig(epochs=12, alpha=0.0, learning_rate=5e-3)
    return fit(_network(curve), config, gratings().split("train"))


@cache
def gratings(seed: int = 7) -> Samples:
    """Stripes in eight directions, of any phase, under as much noise."""
    rng = np.random.default_rng(seed)
    count = sum(SPLITS.values())
    y = rng.integers(0, CLASSES, count)
    angle, phase = y * np.pi / CLASSES, rng.uniform(0, 2 * np.pi, count)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    along = np.cos(angle)[:, None, None] * columns + np.sin(angle)[:, None, None] * rows
    x = np.sin(along * 1.3 + phase[:, None, None]) + rng.normal(0, 0.8, (count, SIZE, SIZE))
    splits = np.repeat(list(SPLITS), list(SPLITS.values()))
    return Samples("gratings", {"x": x[..., None].astype(np.float32)}, y, splits, np.arange(count))


def _network(curve: str) -> Graph:
    net = _Layers("breaking")
    x = net.input("x", (1, SIZE, SIZE, 1))
    x = net.op("hard_swish", [net.conv(x, "stem", 8, 3, stride=(2, 2))], "stem.act")
    x = net.op(curve, [net.conv(x, "block.expand", WIDTH, 1)], f"{PLANTED}.{curve}")
    x = net.op("hard_swish", [net.depthwise(x, "block.depthwise")], "block.depthwise.act")
    x = net.op("hard_swish", [net.conv(x, "head", 24, 1)], "head.act")
    x = net.op("mean", [x], "pool", axes=(1, 2), keepdims=False)
    return net.graph(net.dense(x, "classifier", CLASSES))


class _Layers(Builder):
    """Convolutions with batch norms, seeded."""

    def __init__(self, name: str, seed: int = 3):
        super().__init__(name)
        self.rng = np.random.default_rng(seed)

    def conv(self, x: str, name: str, channels: int, kernel: int, **attrs) -> str:
        shape = (channels, kernel, kernel, self.tensors[x].shape[-1])
        pads = (kernel // 2,) * 4
        y = self.op("conv2d", [x, *self.weights(name, shape, channels)], name, pads=pads, **attrs)
        return self.batch_norm(y, f"{name}.bn")

    def depthwise(self, x: str, name: str) -> str:
        channels = self.tensors[x].shape[-1]
        weights = self.weights(name, (1, 3, 3, channels), channels)
        y = self.op("depthwise_conv2d", [x, *weights], name, pads=(1,) * 4)
        return self.batch_norm(y, f"{name}.bn")

    def dense(self, x: str, name: str, channels: int) -> str:
        shape = (channels, self.tensors[x].shape[-1])
        return self.op("fully_connected", [x, *self.weights(name, shape, channels)], name)

    def weights(self, name: str, shape: tuple[int, ...], channels: int) -> tuple[str, str]:
        fan_in = np.prod(shape) / channels
        weight = self.rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)
        return (self.constant(f"{name}.weight", weight),
                self.constant(f"{name}.bias", np.zeros(channels, np.float32)))

    def batch_norm(self, x: str, name: str) -> str:
        ones = np.ones(self.tensors[x].shape[-1], np.float32)
        parameters = {"gamma": ones, "beta": 0 * ones, "mean": 0 * ones, "variance": ones}
        constants = [self.constant(f"{name}.{role}", value) for role, value in parameters.items()]
        return self.op("batch_norm", [x, *constants], name, epsilon=1e-5)


def _planted(graph: Graph) -> Graph:
    """Channels of the planted batch norm spread, and gathered in again by the weights that read them. Where
    a ReLU stands between them, which hands a positive factor on, that is the same function but for rounding.
    """
    factors = np.geomspace(1.0, 20.0, WIDTH).astype(np.float32)
    factors[OUTLIER] = SPREAD
    scaled = [_scaled(graph.tensors[f"{PLANTED}.{role}"], factors) for role in ("gamma", "beta")]
    return graph.with_tensors(*scaled, _scaled(graph.tensors["block.depthwise.weight"], 1 / factors))


def _scaled(tensor: Tensor, factors: np.ndarray) -> Tensor:
    return constant(tensor.name, tensor.data * factors)


def write(folder: Path) -> None:
    """breaking.onnx, breaking_swish.onnx and gratings.npz."""
    from toolchain.ir.passes import canonical
    from toolchain.lower.onnx import write_onnx

    samples = gratings()
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in {"breaking": breaking_net(), "breaking_swish": breaking_swish_net()}.items():
        (folder / f"{name}.onnx").write_bytes(write_onnx(canonical(made[0])))
    np.savez(folder / "gratings.npz", x=samples.x["x"], y=samples.y, split=samples.splits)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
