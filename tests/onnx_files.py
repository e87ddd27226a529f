"""What tests look for in .onnx files of recurrent networks."""

from collections import Counter

import onnx

IN_STEPS = ("model.onnx has every step of layer.h one after the other: ONNX's LSTM, GRU and RNN compute "
            "something else, or have no weights like these",)
"""The notes on a layer that the file has step by step."""


def operators(model: bytes) -> Counter:
    """How many nodes of each operator a file has."""
    return Counter(node.op_type for node in onnx.load_from_string(model).graph.node)
