"""What a quantized network computes, simulated in float32, so that its float weights can be trained.

It follows the QUANTIZED graph op by op: each op computes on reals that have codes, and what it gives goes to
codes and back. Weights and biases are the float graph's, quantized anew at each step by the rule that
`quantize` has (quantize/weights.py). Islands, requantizations and parameters are thereby those of the graph
that is deployed; nothing about them is decided here.

Ranges are those of the graph, of weights what their largest values give; or they are learned: a scale is
then its first value * exp(r), with a trained r of 0 at first, so that it stays above 0 (Jain et al. 2020,
"Trained Quantization Thresholds", section 3.3, learn its logarithm too). Zero points stay as they are.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from toolchain.errors import BadInput
from toolchain.ir.check import CONVERSIONS, WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor, live_ops
from toolchain.ir.quant import QuantParams, dequantize, quantize
from toolchain.ir.unrolling import unrolled
from toolchain.quantize.rules import rule_of
from toolchain.quantize.weights import quantize_weights
from toolchain.runtime import reference
from toolchain.runtime.multipliers import weighted
from toolchain.runtime.torch_forward import FORWARD
from toolchain.runtime.torch_module import GraphModule, steps_of
from toolchain.train.fake_quant import Straight, fake_quantized

Scales = Mapping[str, QuantParams]
COARSE = frozenset({"mean", "sum", "average_pool2d", "resize_bilinear", "leaky_relu", "sqrt"})
"""Kinds whose kernels round few codes twice, or to one side: they are asked, since up to half of what they
give is not the nearest code. Of the others in int8 it is less than 1 %, by 1; int16 has codes to spare."""


class QuantizedModule(GraphModule):
    """Trains the constants of `graph`, a CANONICAL one, as they are in `quantized`, which was made of it.

    coded:   `quantized` as far as outputs depend on it; quantized: that with its loops written out
    weights: dtype of the scheme's weights
    pinned:  inputs whose parameters are known beforehand
    learned: ranges are trained too, where neither a rule nor `pinned` has them
    Float constants that are read as data, in codes, are not trained: their codes are the graph's.
    """

    def __init__(self, graph: Graph, quantized: Graph, weights: str, pinned: Scales, learned: bool):
        super().__init__(graph)
        ops = live_ops(quantized.ops, graph.outputs)
        self.coded = replace(quantized, outputs=graph.outputs).with_ops(ops)
        self.quantized = unrolled(self.coded).graph
        self.steps, self.weights = steps_of(self.quantized), weights
        self.sources = dict(_sources(self.flat, self.quantized))
        self.layers = {op.name: op for op in self.quantized.ops if self._is_layer(op)}
        self.scales = {t.quant: torch.from_numpy(t.quant.scale) for t in self.quantized.tensors.values()
                       if t.quant is not None}
        self.ranges: dict[QuantParams, nn.Parameter] = {}
        self._freeze()
        if learned:
            self._learn(pinned)

    def forward(self, feeds: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Graph output -> (N, ...) reals, of reals by input name."""
        return super().forward({name: self._told(name, x) for name, x in feeds.items()})

    def compute(self, values: dict[str, torch.Tensor], ops: Iterable[Op]) -> None:
        for op in ops:
            if op.name in self.layers:
                x = op.inputs[0]
                values[op.name] = self._layer(op, values[x] if x in values else self._data(x))
                continue
            parts = [values[name] if name in values else self._data(name) for name in op.inputs]
            result = parts[0] if op.kind in CONVERSIONS else FORWARD[op.kind](self, op, parts)
            values[op.name] = self._told(op.name, result)
            if op.kind in COARSE and self.quantized.tensors[op.name].quant:
                values[op.name] = Straight.apply(values[op.name], self._exact(op, parts))

    def key(self) -> str:
        return f"{self.quantized.digest} {sorted(self.learned_params())}"

    def learned_params(self) -> dict[str, QuantParams]:
        """Tensor of the float graph -> its parameters as they are now, where they are learned."""
        found = {}
        for name, tensor in self.coded.tensors.items():
            own = self.sources.get(name, name)
            if tensor.quant in self.ranges and own in self.graph.tensors:
                found[own] = self._params(tensor.quant)
        return found

    # What is trained ----------------------------------------------------------------------------------------

    def _is_layer(self, op: Op) -> bool:
        """Whether it multiplies codes by codes of weights that the float graph has."""
        weight, bias = op.inputs[1:] if op.kind in WEIGHTED else ("", "")
        return {weight, bias} <= set(self.sources) and self.quantized.tensors[weight].quant is not None

    def _freeze(self) -> None:
        """Constants that are read in codes as data keep these."""
        for op in self.quantized.ops:
            for name in () if op.name in self.layers else op.inputs:
                if name in self.sources and self.quantized.tensors[name].quant is not None:
                    self.constant(self.sources[name]).requires_grad_(False)

    def _learn(self, pinned: Scales) -> None:
        """A trained range for each parameters that no rule and no pin gives. Tensors that share a range have
        the same object, and so they go on to."""
        tensors = self.coded.tensors
        ruled = (op.name for op in self.graph.ops if isinstance(rule_of(self.graph, op).output, QuantParams))
        given = {None, *(tensors[name].quant for name in (*pinned, *ruled) if name in tensors)}
        own = [tensors[t.name].quant for t in self.graph.activations if t.name in tensors]
        own += [tensors[name].quant for name in self._weights_of_one_form()]
        for quant in dict.fromkeys(own):
            if quant not in given:
                parameter = nn.Parameter(torch.zeros(quant.scale.shape))
                self.register_parameter(f"range{len(self.ranges)}", parameter)
                self.ranges[quant] = parameter

    def _weights_of_one_form(self) -> list[str]:
        """Weights in codes that are trained, and of which the float weight has these codes alone."""
        names = {op.inputs[1] for op in self.layers.values()}
        forms = Counter(self.sources[name] for name in names)
        return [name for name in sorted(names) if forms[self.sources[name]] == 1
                and self.constant(self.sources[name]).requires_grad]

    # Codes --------------------------------------------------------------------------------------------------

    def _scale(self, quant: QuantParams) -> torch.Tensor:
        scale = self.scales[quant]
        return scale * self.ranges[quant].exp() if quant in self.ranges else scale

    def _params(self, quant: QuantParams) -> QuantParams:
        """As they are now. Raises BadInput where a learned scale has run away."""
        if quant not in self.ranges:
            return quant
        scale = self._scale(quant).detach().numpy()
        if not (np.isfinite(scale).all() and scale.all()):
            raise BadInput(f"{self.graph.name}: a learned scale became {scale.max():g}; lower [qat] "
                           f"learning_rate")
        return replace(quant, scale=scale)

    def _told(self, name: str, x: torch.Tensor, parts: torch.Tensor | None = None) -> torch.Tensor:
        """x through the codes of the tensor of that name; as it is where it has none."""
        tensor = self.quantized.tensors[name]
        if tensor.quant is None:
            return x
        return fake_quantized(x, tensor.quant, self._scale(tensor.quant), tensor.size, parts=parts)

    @torch.no_grad()
    def _exact(self, op: Op, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """What the reference's kernel gives, as reals."""
        tensors = {name: self.quantized.tensors[name] for name in (*op.inputs, op.name)}
        now = {name: replace(t, quant=t.quant and self._params(t.quant)) for name, t in tensors.items()}
        codes = [quantize(x.numpy(), now[name].quant) for name, x in zip(op.inputs, parts)]
        found = reference.run_op(self.quantized.with_tensors(*now.values()), op, codes, len(parts[0]))
        return torch.from_numpy(dequantize(found, now[op.name].quant))

    def _data(self, name: str) -> torch.Tensor:
        """A constant that an op reads in the place of data, or in float."""
        tensor = self.quantized.tensors[name]
        if name in self.sources:
            return self._told(name, self.constant(self.sources[name]))
        if tensor.quant is None:
            return torch.from_numpy(tensor.data)
        codes = torch.from_numpy(tensor.data.astype(np.float32) - np.float32(tensor.quant.zero_point))
        return self._scale(tensor.quant) * codes

    def _layer(self, op: Op, x: torch.Tensor) -> torch.Tensor:
        """Its products' sums are brought to its output's scale as `ir.quant.requantize` does it, in two
        roundings, of which the first is to parts of 2**-right of a code; those of int16 in one."""
        read, out = (self._params(self.quantized.tensors[name].quant) for name in (op.inputs[0], op.name))
        weight, bias, quant = self._weights(op, read)
        sums = FORWARD[op.kind](self, op, [x, weight, bias])
        if out.dtype != "int8":
            return self._told(op.name, sums)
        _, shift = weighted(read, quant, out)
        return self._told(op.name, sums, torch.from_numpy(np.exp2(np.maximum(-shift, 0)).astype(np.float32)))

    def _weights(self, op: Op, read: QuantParams) -> tuple[torch.Tensor, torch.Tensor, QuantParams]:
        """Weight and bias of a layer that reads codes of these parameters, as the reals of their own codes;
        and the weight's parameters."""
        _, weight, bias = self.quantized.of(op)
        real, real_bias = (self.constant(self.sources[t.name]) for t in (weight, bias))
        learned = weight.quant in self.ranges
        coded, coded_bias = quantize_weights(
            op, read, _with(weight, real), _with(bias, real_bias), self.weights,
            self._params(weight.quant) if learned else None)
        told_bias = Straight.apply(real_bias, _reals(coded_bias))
        if not learned:
            return Straight.apply(real, _reals(coded)), told_bias, coded.quant
        scale, taken = self._scale(weight.quant), torch.from_numpy(coded.quant.scale)
        scale = torch.where(scale == taken, scale, taken)  # another where the bias needed room
        count = weight.size // taken.numel()
        return fake_quantized(real, coded.quant, scale, count, narrow=True), told_bias, coded.quant


def _with(tensor: Tensor, value: torch.Tensor) -> Tensor:
    return replace(tensor, data=value.detach().numpy())


def _reals(tensor: Tensor) -> torch.Tensor:
    return torch.from_numpy(dequantize(tensor.data, tensor.quant))


def _sources(graph: Graph, quantized: Graph) -> Iterator[tuple[str, str]]:
    """(constant of the quantized graph, the float graph's that it was made of)."""
    for op in quantized.ops:
        twin = _twin(graph, quantized, op)
        for name, own in zip(op.inputs, twin.inputs if twin else ()):
            if quantized.tensors[name].is_constant and graph.tensors[own].is_constant:
                yield name, own


def _twin(graph: Graph, quantized: Graph, op: Op) -> Op | None:
    """The op of the float graph that `op` computes, perhaps in other numbers than its output is held in; None
    for one that quantizing put in."""
    names = [op.name, *(reader.name for reader in quantized.consumers[op.name] if reader.kind == "quantize")]
    twins = (graph.producers[name] for name in names if name in graph.producers)
    return next((twin for twin in twins if twin.kind == op.kind), None)
