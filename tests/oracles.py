"""Who judges the op matrix: each takes cases and gives, for each case, the value of its output `y`."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from tests.c_host import compile_graphs
from tests.op_maker import SAMPLES, Case
from toolchain.ir.quant import dequantize, quantize
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.kernels_float import FLOAT
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.moving import over_samples
from toolchain.runtime.onnxruntime import OnnxRuntime
from toolchain.runtime.tflm import run_models

CPU = frozenset(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
U8S8_SATURATES = "avx2" in CPU and not {"avx_vnni", "avx512_vnni"} & CPU
"""Whether products of U8S8 saturate in 16 bits here, so that weighted ops cannot match the reference: on x86
without VNNI (onnxruntime, "Quantize ONNX Models")."""
WITHOUT_REFERENCE = frozenset({"elu", "sum", "depth_to_space", "tile"})
"""Kinds of which LiteRT's reference resolver has no kernel, or none of today's version, or for int8 sums a
wrong one, far from the real sums. Its other kernels are asked then."""


@cache
def by_reference(case: Case) -> np.ndarray:
    return reference.run(case.graph, case.feeds)["y"]


def by_float_kernel(case: Case) -> np.ndarray:
    """The float reference on what an int8 case's codes stand for, as reals within the output's range."""
    (op,), out = case.graph.ops, case.graph.tensors["y"].quant
    values = ((case.feeds.get(t.name, t.data), t.quant) for t in case.graph.of(op))
    reals = [value if quant is None else dequantize(value, quant) for value, quant in values]
    with np.errstate(all="ignore"):
        y = FLOAT[case.kind](over_samples(op, SAMPLES), *reals)
    return y if out is None else np.clip(y, *dequantize(np.array([-128, 127], np.int8), out))


def by_tflite_micro(cases: Sequence[Case]) -> list[np.ndarray]:
    """All in one subprocess."""
    samples = [[{name: value[i:i + 1] for name, value in case.feeds.items()} for i in range(SAMPLES)]
               for case in cases]
    models = [write_tflite(case.graph, integer_only=True) for case in cases]
    outputs = run_models(list(zip(models, samples, strict=True)))
    return [np.concatenate([sample["y"] for sample in part]) for part in outputs]


def by_litert(case: Case) -> np.ndarray:
    """Its reference kernels; where it has none, what it runs without XNNPACK."""
    reference = case.kind not in WITHOUT_REFERENCE
    model = write_tflite(case.graph, integer_only=True)
    runtime = LiteRT(model, reference_kernels=reference, preserve_all=not reference)
    return runtime.run(case.feeds)["y"]


def by_onnx_runtime(case: Case, activations: str = "uint8") -> np.ndarray:
    """Reals go in and come out; an int8 case's are turned to codes here."""
    tensors = case.graph.tensors
    session = OnnxRuntime(write_onnx(case.graph, activations=activations))
    y = session.run({name: value if tensors[name].quant is None else dequantize(value, tensors[name].quant)
                     for name, value in case.feeds.items()})["y"]
    return y if tensors["y"].quant is None else quantize(y, tensors["y"].quant)


def by_torch(case: Case) -> np.ndarray:
    import torch

    from toolchain.runtime.torch_module import GraphModule

    with torch.no_grad():
        feeds = {name: torch.from_numpy(value) for name, value in case.feeds.items()}
        return GraphModule(case.graph).eval()(feeds)["y"].numpy()


def by_our_c(cases: Sequence[Case], folder: Path) -> list[np.ndarray]:
    """Our C, compiled for this host in one go."""
    models = compile_graphs([case.graph for case in cases], folder)
    return [model.run(case.feeds)["y"] for model, case in zip(models, cases, strict=True)]
