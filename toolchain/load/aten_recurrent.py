"""LSTM, GRU and Elman layers of PyTorch: stacked, in both directions, with their first and last states."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from toolchain.load.aten_call import Call, Constant, Rule, cut
from toolchain.load.recurrent import Ended, Layer, gate_of, gates_of

WEIGHTS = 2
"""Of a layer: of its input and of its state; as many biases, where it has some."""

SWAPPED = (1, 0, 2)
"""Batch and time."""


def lstm(call: Call) -> tuple[str, ...]:
    """Gates as torch.nn.LSTM has them: input, forget, cell, output."""
    def build(layer: Layer, arrays: Sequence[np.ndarray]) -> Ended:
        parts = gates_of(*arrays, "ifgo")
        return layer.lstm(gate_of(parts, "ifo"), gate_of(parts, "g"))

    return _recurrent(call, build, call["hx"])


def gru(call: Call) -> tuple[str, ...]:
    """Gates as torch.nn.GRU has them: reset, update, new."""
    def build(layer: Layer, arrays: Sequence[np.ndarray]) -> Ended:
        parts = gates_of(*arrays, "rzn")
        return layer.gru(gate_of(parts, "rz"), gate_of(parts, "n"))

    return _recurrent(call, build, [call["hx"]])


def plain(call: Call) -> tuple[str, ...]:
    """torch.nn.RNN; the call's name ends with its activation."""
    activation = call.op.removeprefix("rnn_")

    def build(layer: Layer, arrays: Sequence[np.ndarray]) -> Ended:
        return layer.plain(gate_of(gates_of(*arrays, "h"), "h"), activation)

    return _recurrent(call, build, [call["hx"]])


def _recurrent(call: Call, build, initial: Sequence) -> tuple[str, ...]:
    """All layers; the results are all hidden states of the last, and the last states of each layer."""
    call.require("batch_sizes" not in call.args, "reads a packed sequence; pass the padded one")
    directions = 2 if call["bidirectional"] else 1
    x, ended = _batch_first(call), []
    for number, arrays in enumerate(_layers(call, directions)):
        level = "" if call["num_layers"] == 1 else f".{number}"
        made = []
        for way, own in enumerate(arrays):
            name = f"{call.name}{level}{'.reverse' if way else ''}"
            states = [_initial(call, state, number * directions + way, f"{name}.initial{kind}")
                      for kind, state in enumerate(initial)]
            made.append(build(Layer(call.build, name, x, states, reverse=bool(way)), own))
        ended += made
        x = made[0].sequence if directions == 1 else call.build.op(
            "concat", [each.sequence for each in made], f"{call.name}{level}.both", axis=2)
    lasts = [[each.hidden for each in ended], [each.cell for each in ended]][:len(initial)]
    return _as_called(call, x), *(_stacked(call, names, f"last{kind}") for kind, names in enumerate(lasts))


def _layers(call: Call, directions: int) -> Iterator[list[list[np.ndarray]]]:
    """Of each layer, of each direction: weight, recurrent, bias, recurrent bias."""
    params = call["params"]
    each = 2 * WEIGHTS if call["has_biases"] else WEIGHTS
    call.require(all(isinstance(value, Constant) for value in params),
                 "weights are computed from the input; only constants have a row")
    call.require(len(params) == each * directions * call["num_layers"],
                 "its states are projected (proj_size), which has no row; leave that out")
    for start in range(0, len(params), each * directions):
        yield [_arrays([value.array for value in params[at:at + each]])
               for at in range(start, start + each * directions, each)]


def _arrays(own: list[np.ndarray]) -> list[np.ndarray]:
    return own if len(own) > WEIGHTS else [*own, *(np.zeros(len(own[0]), np.float32) for _ in range(2))]


def _batch_first(call: Call) -> str:
    """The sequence as (1, T, F)."""
    x = call["input"]
    shape = call.shape(x) if isinstance(x, str) else x.array.shape
    call.require(len(shape) == 3, f"input has shape {shape}; a batch axis is needed")
    batch = 0 if call["batch_first"] else 1
    call.require(shape[batch] == 1, f"the batch, axis {batch} of {shape}, is not 1; where the batch comes "
                                    f"first, make the layer with batch_first=True")
    if isinstance(x, Constant):
        steps = x.array if batch == 0 else x.array.transpose(SWAPPED)
        return call.build.constant(f"{call.name}.input", steps)
    return x if batch == 0 else call.emit("transpose", [x], "first", perm=SWAPPED)


def _as_called(call: Call, y: str) -> str:
    return y if call["batch_first"] else call.emit("transpose", [y], "steps", perm=SWAPPED)


def _initial(call: Call, state, number: int, name: str) -> str:
    """State `number` of (layers, 1, H) as (1, H)."""
    if isinstance(state, Constant):
        return call.build.constant(name, np.ascontiguousarray(state.array[number], np.float32))
    layers, _, width = call.shape(state)
    one = state if layers == 1 else cut(call, state, 0, slice(number, number + 1), f"state{number}")
    return call.emit("reshape", [one], f"initial{number}", shape=(1, width))


def _stacked(call: Call, names: Sequence[str], step: str) -> str:
    """States (1, H) as (layers, 1, H)."""
    width = call.shape(names[0])[1]
    parts = [call.emit("reshape", [name], f"{step}.{i}", shape=(1, 1, width)) for i, name in enumerate(names)]
    joined = parts[0] if len(parts) == 1 else call.emit("concat", parts, f"{step}.joined", axis=1)
    whole = call.emit("reshape", [joined], step, shape=(len(parts), 1, width))
    call.rows[whole] = tuple(names)
    return whole


RULES: Mapping[str, Rule] = {
    "lstm": lstm,
    "gru": gru,
    **dict.fromkeys(("rnn_tanh", "rnn_relu"), plain),
}
