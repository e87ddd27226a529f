"""Analytic bias correction: without data, from the statistics that batch norms hold.

Source: Nagel et al. 2019, section 4.2.1: E[W' x] - E[W x] = (W' - W) E[x], with E[x] of the channels that an
op reads from the batch norm and the activation before it (spread.py).
"""

from collections.abc import Mapping

import numpy as np

from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.quantize.bias import correctable, mean_error, shifted, with_biases
from toolchain.quantize.spread import spreads


def correct_biases_analytically(source: Graph, graph: Graph, quantized: Graph,
                                factors: Mapping[str, np.ndarray] | None = None) -> Graph:
    """`quantized` with other bias codes, where the mean of an op's input follows from batch norms.

    source:  FLOAT, with its batch norms;  graph: CANONICAL, what was made of it and `quantized` of that
    factors: by what equalisation divided channels of `graph` (`Equalised.factors`)
    """
    known, factors, corrected = spreads(source, {}), factors or {}, []
    for op in correctable(graph, quantized):
        name, shape = op.inputs[0], graph.tensors[op.inputs[0]].shape
        if name in known and source.tensors[name].shape == shape:
            x = known[name].full(shape).mean / factors.get(name, 1.0)
            corrected.append(shifted(quantized, op, mean_error(op, graph, quantized, x, x)))
    return check(with_biases(quantized, corrected), "QUANTIZED")
