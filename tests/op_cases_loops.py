"""Draws of the op matrix: what goes into a loop and comes out of it."""

from collections.abc import Callable

from tests.op_maker import Maker
from toolchain.ir.graph import Graph


def draw_loop(leaves: str) -> Callable[[Maker, int], Graph]:
    """A running extreme, forwards or backwards, that leaves at all steps or the last, beside what it begins
    with: a constant or an input."""
    def draw(m: Maker, number: int) -> Graph:
        steps, width = m.sizes(1, 6, 2)
        params, reverse = m.params(), m.pick(True, False)
        x = m.input((1, steps, width), params)
        begin = m.constant("k", (1, width), params) if number % 2 else m.input((1, width), params)
        quant = m.builder.tensors[x].quant
        state = m.builder.op("state", [begin, begin], "s", quant=quant, loop="loop")
        step = m.builder.op("step", [x], "x.step", quant=quant, loop="loop", axis=1, reverse=reverse)
        after = m.builder.op(m.pick("minimum", "maximum"), [state, step], "after", quant=quant)
        m.builder.becomes(state, after)
        if leaves == "last":
            return m.builder.graph(m.builder.op("last", [after], "y", quant=quant, loop="loop"))
        return m.builder.graph(m.builder.op("sequence", [after], "y", quant=quant, loop="loop", axis=1,
                                            steps=steps, reverse=reverse))

    return draw
