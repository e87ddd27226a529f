"""UNIDIRECTIONAL_SEQUENCE_LSTM, which an LSTM of Keras becomes, as a loop.

The operator keeps its states from one run to the next; those of a Graph begin at 0 for each sample, as the
source network's do. The converter's bounds of a cell, 10, are kept where so many steps can reach them.
"""

import numpy as np

from toolchain.load.recurrent import Layer, gate_of
from toolchain.load.tflite_loader import Loader
from toolchain.load.tflite_records import FileOp
from toolchain.load.tflite_unsupported import LSTM_GATES


def add_lstm(load: Loader, op: FileOp, kind: str) -> None:
    shape, name = load.source(op, 0).shape, load.output(op).name
    steps = shape[0 if op.options["timeMajor"] else 1]
    x = load.reshaped(load.named(op, 0), (1, steps, shape[2]), f"{name}.first")
    arrays = [load.source(op, position).data for position in LSTM_GATES]
    weights, recurrent, biases = arrays[:4], arrays[4:8], arrays[8:]
    none = [np.zeros_like(bias) for bias in biases]
    parts = dict(zip("ifco", zip(weights, recurrent, biases, none, strict=True), strict=True))
    zeros = [load.build.constant(f"{name}.initial{at}", none[0][None]) for at in range(2)]
    layer = Layer(load.build, name, x, zeros)
    ended = layer.lstm(gate_of(parts, "ifo"), gate_of(parts, "c"), op.options["cellClip"])
    load.states.append(name)
    load.emit_reshaped(op, ended.sequence)
