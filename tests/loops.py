"""Small graphs with loops, for tests."""

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph

STEPS, WIDTH = 5, 3


def accumulating(reverse: bool = False, leaves: str = "sequence") -> Graph:
    """s[t + 1] = 0.5 * s[t] + x[t], from ones; every new s leaves, or the last."""
    build = Builder("accumulating")
    x = build.input("x", (1, STEPS, WIDTH))
    begin = build.constant("begin", np.ones((1, WIDTH), np.float32))
    half = build.constant("half", np.full((1, WIDTH), 0.5, np.float32))
    state = build.state(begin, "s", "loop")
    step = build.op("step", [x], "step", loop="loop", axis=1, reverse=reverse)
    after = build.op("add", [build.op("mul", [state, half], "halved"), step], "after")
    build.becomes(state, after)
    if leaves == "last":
        return build.graph(build.op("last", [after], "y", loop="loop"))
    return build.graph(build.op("sequence", [after], "y", loop="loop", axis=1, steps=STEPS, reverse=reverse))


def accumulated(x: np.ndarray, reverse: bool = False) -> np.ndarray:
    """What `accumulating` gives, written out: (N, STEPS, WIDTH)."""
    y, state = np.empty_like(x), np.ones_like(x[:, 0])
    for t in range(STEPS)[::-1] if reverse else range(STEPS):
        y[:, t] = state = np.float32(0.5) * state + x[:, t]
    return y
