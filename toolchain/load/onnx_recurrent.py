"""LSTM, GRU and RNN (ONNX operator specification, opset 14) as loops.

Shapes, D directions: X (T, 1, F), W (D, gates * H, F), R (D, gates * H, H), B (D, 2 * gates * H): the biases
of the input, then those of the state; Y (T, D, 1, H), Y_h and Y_c (D, 1, H).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from toolchain.load.onnx_call import Call, Rule, Value
from toolchain.load.onnx_rows import stacked
from toolchain.load.recurrent import Ended, Gate, Layer, gate_of, gates_of

Parts = Mapping[str, Sequence[np.ndarray]]
Build = Callable[[Layer, Parts], Ended]
LENGTHS, HIDDEN, CELL, PEEPHOLES = 4, 5, 6, 7
"""Positions of inputs."""
REVERSED = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
"""What `direction` says -> of each direction whether it goes from the last step to the first."""


def lstm(call: Call) -> tuple[Value | None, ...]:
    _require_usual(call, "sigmoid", "tanh", "tanh")
    call.require(call.input(PEEPHOLES) is None, "has peepholes (P), which have no row; train it without them")
    call.require(not call.attr("input_forget", 0), "input_forget=1 has no row; train it without")
    return _recurrent(call, "iofc", (HIDDEN, CELL),
                      lambda layer, parts: layer.lstm(gate_of(parts, "ifo"), gate_of(parts, "c")))


def gru(call: Call) -> tuple[Value | None, ...]:
    _require_usual(call, "sigmoid", "tanh")
    after = bool(call.attr("linear_before_reset", 0))
    return _recurrent(call, "zrh", (HIDDEN,),
                      lambda layer, parts: layer.gru(gate_of(parts, "rz"), gate_of(parts, "h"), after))


def rnn(call: Call) -> tuple[Value | None, ...]:
    asked = {name.lower() for name in call.attr("activations", ("tanh",))}
    activation = "relu" if asked == {"relu"} else "tanh"
    _require_usual(call, activation)
    return _recurrent(call, "h", (HIDDEN,), lambda layer, parts: layer.plain(Gate(*parts["h"]), activation))


def _require_usual(call: Call, *activations: str) -> None:
    """activations: of one direction, as the layers here have them"""
    ways = _ways(call)
    asked = tuple(name.lower() for name in call.attr("activations", activations * len(ways)))
    known = "tanh or relu" if call.op == "RNN" else ", ".join(activations)
    call.require(asked == activations * len(ways),
                 f"activations={', '.join(asked)}; only {known} in each direction have a row")
    call.require(not call.attr("clip", 0.0), f"clip={call.attr('clip')} has no row; export without it")
    call.require(not call.attr("layout", 0), "layout=1 has no row; export it with the time first (layout=0)")


def _ways(call: Call) -> tuple[bool, ...]:
    direction = call.attr("direction", "forward")
    if direction not in REVERSED:
        raise ValueError(f"direction={direction}: must be one of {', '.join(REVERSED)}")
    return REVERSED[direction]


def _recurrent(call: Call, order: str, states: tuple[int, ...], build: Build) -> tuple[Value | None, ...]:
    """order: letters of the gates as they lie in W, R and B"""
    ways, x = _ways(call), _batch_first(call)
    arrays = _arrays(call, order, len(ways), call.shape(x)[-1])
    ended = []
    for number, (reverse, parts) in enumerate(zip(ways, arrays)):
        own = f"{call.name}.reverse" if number else call.name
        width = parts[order[0]][1].shape[1]
        initial = [_initial(call, at, number, (len(ways), 1, width), f"{own}.initial{at - HIDDEN}")
                   for at in states]
        ended.append(build(Layer(call.build, own, x, initial, reverse), parts))
    lasts = [[each.hidden for each in ended], [each.cell for each in ended]]
    made = [lambda: _all_steps(call, [each.sequence for each in ended]),
            *(lambda at=at: stacked(call, lasts[at], call.outputs[at + 1]) for at in range(len(states)))]
    return tuple(make() if output else None for make, output in zip(made, call.outputs))


def _batch_first(call: Call) -> str:
    """X as (1, T, F)."""
    x = call.input(0) if isinstance(call.input(0), str) else call.constant(0, "X")
    shape = call.shape(x) if isinstance(x, str) else x.shape
    steps, batch, _ = shape
    call.require(batch == 1, f"input has shape {shape}: the batch, its second axis, is not 1")
    lengths = call.setting("sequence_lens", LENGTHS)
    call.require(lengths in (None, (steps,)),
                 f"sequence_lens={lengths} of {steps} steps; only whole sequences have a row")
    if not isinstance(x, str):
        return call.build.constant(f"{call.name}.input", x.transpose(1, 0, 2))
    return call.emit("transpose", [x], "first", perm=(1, 0, 2))


def _arrays(call: Call, order: str, directions: int, features: int) -> list[Parts]:
    """Of each direction its gates' weight, recurrent, bias and recurrent bias."""
    weight, recurrent = call.constant(1, "W"), call.constant(2, "R")
    width = recurrent.shape[-1]
    size = len(order) * width
    bias = np.zeros((directions, 2 * size), np.float32) if call.input(3) is None else call.constant(3, "B")
    have = {"W": weight.shape, "R": recurrent.shape, "B": bias.shape}
    fit = {"W": (directions, size, features), "R": (directions, size, width), "B": (directions, 2 * size)}
    if have != fit or call.attr("hidden_size", width) != width:
        raise ValueError(f"{have} with hidden_size={call.attr('hidden_size')}; its input asks for {fit}")
    return [gates_of(w, r, *np.split(b, 2), order) for w, r, b in zip(weight, recurrent, bias)]


def _initial(call: Call, at: int, number: int, shape: tuple[int, int, int], name: str) -> str:
    """State before the first step (1, H) of a direction, of an input (D, 1, H)."""
    value = call.input(at)
    if value is None:
        value = np.zeros(shape, np.float32)
    have = call.shape(value) if isinstance(value, str) else value.shape
    if have != shape:
        raise ValueError(f"input {at} has shape {have}; its weights ask for {shape}")
    if not isinstance(value, str):
        return call.build.constant(name, value[number])
    if shape[0] > 1:
        value = call.build.op("slice", [value], f"{name}:row", begin=(number, 0, 0),
                              end=(number + 1, 1, shape[2]), strides=(1, 1, 1))
    return call.build.op("reshape", [value], name, shape=shape[1:])


def _all_steps(call: Call, sequences: list[str]) -> str:
    """(1, T, H) of each direction as (T, D, 1, H)."""
    _, steps, width = call.shape(sequences[0])
    whole = sequences[0] if len(sequences) == 1 else call.emit("concat", sequences, "both", axis=2)
    return call.emit("reshape", [whole], shape=(steps, len(sequences), 1, width))


RECURRENT: Mapping[str, Rule] = {"LSTM": lstm, "GRU": gru, "RNN": rnn}
