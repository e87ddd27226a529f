"""Draws of the op matrix: kinds that compute element by element, and softmax."""

from collections.abc import Callable

import numpy as np

from tests.op_cases_weighted import ACTIVATIONS
from tests.op_maker import FIXED_OUTPUT, SAME_AS_INPUT, SAMPLES, Maker
from toolchain.ir.graph import Graph
from toolchain.ir.ops import OPS, RELATIONS
from toolchain.ir.quant import QuantParams

Draw = Callable[[Maker, int], Graph]


def draw_binary(kind: str) -> Draw:
    """Both activations; or one of them, or a constant, broadcast along some axes."""

    def draw(m: Maker, number: int) -> Graph:
        shape = (1, 60, 70) if number == 0 else (1, *m.sizes(1, 6, m.pick(1, 2, 3)))
        small, params = (*(1 for _ in shape[:-1]), shape[-1]), m.params() if kind in SAME_AS_INPUT else None
        operand = m.pick(lambda: m.input(shape, params), lambda: m.input(small, params),
                         lambda: m.constant("k", shape[-1:], params), lambda: m.constant("k", small, params),
                         lambda: m.constant("k", (1,), params))
        inputs = [m.input(shape, params), operand()]
        fuses = "activation" in OPS[kind].attrs and m.dtype in ("float32", "int8")
        attrs = {"activation": m.pick(*ACTIVATIONS)} if fuses else {}
        return m.finish(kind, inputs[::m.pick(1, -1)], **attrs)

    return draw


def draw_div(m: Maker, number: int) -> Graph:
    """By numbers away from 0."""
    shape = (1, *m.sizes(1, 6, m.pick(1, 2, 3)))
    below = m.pick(shape, shape[-1:], (1,))
    return m.finish("div", (m.input(shape), positive(m, below)), activation=m.pick(*ACTIVATIONS))


def positive(m: Maker, shape, computed: bool = False) -> str:
    """A constant, or an input of the same shape, of numbers above 0."""
    if m.dtype == "int8":
        params = QuantParams(m.log_uniform(1e-2, 1), -128)
        codes = m.rng.integers(-100, 128, (SAMPLES, *shape[1:]) if computed else shape).astype(np.int8)
        return m.coded_input(codes, params) if computed else m.coded_constant("k", codes, params)
    numbers = m.log_uniform(0.1, 10, (SAMPLES, *shape[1:]) if computed else shape)
    return m.plain_input(numbers) if computed else m.plain_constant("k", numbers)


def draw_pow(m: Maker, number: int) -> Graph:
    """One exponent."""
    x = positive(m, (1, 16, 17), computed=True)
    exponent = np.full((1,), m.pick(0.5, 2.0, 3.0, -1.0, 1.7, -0.3), np.float32)
    if m.dtype == "float32":
        return m.finish("pow", (x, m.plain_constant("k", exponent)))
    params = QuantParams(abs(exponent[0]) / 255, -128 if exponent[0] > 0 else 127)
    code = np.full((1,), -params.zero_point - 1, np.int8)
    return m.finish("pow", (x, m.coded_constant("k", code, params)))


def draw_unary(kind: str, **attrs) -> Draw:
    def draw(m: Maker, number: int) -> Graph:
        shape = (1, 16, 17) if m.dtype == "int8" else (1, *m.sizes(1, 9, m.pick(1, 2, 3)))
        params = m.params(scale=m.log_uniform(1e-4, 20)) if kind in FIXED_OUTPUT else m.params()
        if m.dtype == "int8" and kind in FIXED_OUTPUT and params.scale >= 4:
            m.lacks |= dict.fromkeys(("float", "litert", "onnx"), "a code is past the curve: Micro clips it")
        drawn = {name: m.pick(*options) for name, options in attrs.items()}
        return m.finish(kind, m.input(shape, params), **drawn)

    return draw


def draw_curve(kind: str) -> Draw:
    """Of numbers above 0."""
    return lambda m, number: m.finish(kind, positive(m, (1, 16, 17), computed=True))


def draw_hard_swish(m: Maker, number: int) -> Graph:
    """TFLite's kernels do not take an output that is told 128 times finer: some of x must be above 0."""
    params = m.params()
    params = QuantParams(params.scale, min(int(params.zero_point), 110))
    return m.finish("hard_swish", m.input((1, 16, 17), params))


def draw_exp(m: Maker, number: int) -> Graph:
    return m.finish("exp", m.input((1, 16, 17), m.params(scale=m.log_uniform(1e-3, 0.05))))


def draw_prelu(m: Maker, number: int) -> Graph:
    shape = (1, *m.sizes(1, 6, m.pick(1, 2, 3)))
    return m.finish("prelu", (m.input(shape), m.constant("alpha", m.pick(shape[-1:], (1,), shape))))


def draw_relu6(m: Maker, number: int) -> Graph:
    """TFLite Micro ignores the output's parameters and does not take an input in which 6.0 has no code."""
    params = QuantParams(m.log_uniform(6 / 120, 1), -128 + int(m.rng.integers(0, 8)))
    x = m.input((1, 300), params)
    if m.dtype == "int8" and number % 2:
        return m.builder.graph(m.builder.op("relu6", (x,), "y", quant=params))
    if m.dtype == "int8":
        m.lacks["tflm"] = "its relu6 copies codes whatever the output's parameters are"
    return m.finish("relu6", x)


def draw_softmax(kind: str, **attrs) -> Draw:
    def draw(m: Maker, number: int) -> Graph:
        shape = (1, *m.sizes(1, 5, m.pick(0, 2)), m.pick(1, 2, 10, 300))
        if shape[-1] == 1:
            m.lacks["onnx"] = "onnxruntime's uint8 softmax over a single code gives 0"
        drawn = {name: m.pick(*options) for name, options in attrs.items()}
        return m.finish(kind, m.input(shape, m.params(scale=m.log_uniform(1e-3, 30))), **drawn)

    return draw


# Logic and types --------------------------------------------------------------------------------------------

def draw_compare(m: Maker, number: int) -> Graph:
    """Of few numbers, so that equals are met."""
    def few(*shape):
        return m.rng.integers(-2, 3, shape).astype(m.dtype)

    shape = m.sizes(1, 6, m.pick(1, 2, 3))
    other = m.pick(lambda: m.plain_input(few(SAMPLES, *shape)), lambda: m.plain_constant("k", few(1)))
    inputs = [m.plain_input(few(SAMPLES, *shape)), other()]
    return m.finish("compare", inputs, relation=list(RELATIONS)[number % len(RELATIONS)])


def draw_logical(kind: str) -> Draw:
    def draw(m: Maker, number: int) -> Graph:
        shape = (1, *m.sizes(1, 6, m.pick(1, 2, 3)))
        return m.finish(kind, [m.input(shape) for _ in OPS[kind].inputs])

    return draw


def draw_select(m: Maker, number: int) -> Graph:
    """Everything of one shape, or the condition alone for each position, or one number for what is false."""
    shape, params = (1, *m.sizes(1, 6, 3)), m.params()
    condition = m.pick(shape, (*shape[:-1], 1))
    condition = m.plain_input(m.rng.random((SAMPLES, *condition[1:])) < 0.5)
    other = m.pick(lambda: m.input(shape, params), lambda: m.constant("k", (1,), params))
    return m.finish("select", (condition, m.input(shape, params), other()))


def draw_cast(m: Maker, number: int) -> Graph:
    to = m.pick(*sorted({"float32", "int32", "int64", "bool"} - {m.dtype}))
    if to == "int64":
        m.lacks["tflm"] = "its CAST gives no int64"
    return m.finish("cast", m.input((1, *m.sizes(1, 6, 2))), to=to)
