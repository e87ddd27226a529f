"""Graphs of one recurrent layer, as the doors make them."""

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.load.recurrent import Gate, Layer

STEPS, FEATURES, WIDTH = 5, 3, 4
GATES = {"lstm": (3, 1), "gru": (2, 1), "rnn": (1,)}
LAYERS = {"lstm": ("lstm", {}), "gru": ("gru", {"reset_after": False}),
          "gru reset after": ("gru", {"reset_after": True}), "rnn tanh": ("rnn", {"activation": "tanh"}),
          "rnn relu": ("rnn", {"activation": "relu"})}
"""Name -> kind and what else the layer is told."""


def gates(kind: str, seed: int = 0) -> list[Gate]:
    """Seeded weights; several gates that share an activation are one."""
    rng = np.random.default_rng(seed)
    shapes = [[(n * WIDTH, FEATURES), (n * WIDTH, WIDTH), (n * WIDTH,), (n * WIDTH,)] for n in GATES[kind]]
    return [Gate(*(rng.standard_normal(shape, np.float32) / 2 for shape in each)) for each in shapes]


def network(kind: str, reverse: bool = False, begun: str = "zero", leaves: str = "sequence hidden cell",
            **asked) -> Graph:
    """begun: first states: "zero", "constant" or "input";  leaves: results that are outputs"""
    build = Builder("net")
    x = build.input("x", (1, STEPS, FEATURES))
    layer = Layer(build, "layer", x, [_begin(build, begun, at) for at in range(2 if kind == "lstm" else 1)],
                  reverse)
    make = {"lstm": layer.lstm, "gru": layer.gru, "rnn": layer.plain}[kind]
    ended = make(*gates(kind), **asked)
    made = (getattr(ended, name) for name in leaves.split())
    return build.graph(*filter(None, made))


def _begin(build: Builder, begun: str, at: int) -> str:
    if begun == "input":
        return build.input(f"begin{at}", (1, WIDTH))
    values = np.full((1, WIDTH), 0.25 * (at + 1) if begun == "constant" else 0, np.float32)
    return build.constant(f"begin{at}", values)
