"""The networks that benchmark_accuracy.py quantizes, and the samples that it does so with."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from kit_data import KIT, ROOT, Parts, cifar, keywords, persons, photographs

from toolchain.ir.graph import Graph, live_ops

VIEWS = {"reshape", "dequantize", "quantize"}
"""What may stand behind a network's softmax."""


@dataclass(frozen=True)
class Case:
    """source: what `load` takes;  vendor: the INT8 file that its authors publish, where there is one"""

    name: str
    title: str
    source: str
    parts: Callable[[], Parts]
    vendor: Path | None = None


def _kit(name: str, title: str, stem: str, vendor: str, parts: Callable[[], Parts]) -> Case:
    return Case(name, title, str(KIT / f"models/{stem}.tflite"), parts, KIT / f"models/{vendor}.tflite")


def _cifar(name: str, title: str) -> Case:
    return Case(name, title, f"{ROOT}/scripts/cifar_networks.py:{name}", lambda: cifar().parts)


ENTRIES = (
    _kit("kws", "DS-CNN, keywords (MLPerf Tiny)", "kws_ref_model_float32", "kws_ref_model", keywords),
    _kit("ic", "ResNet-8, small images (MLPerf Tiny)", "pretrainedResnet", "pretrainedResnet_quant",
         lambda: cifar().parts),
    _kit("vww", "MobileNetV1 0.25, persons (MLPerf Tiny)", "vww_96_float", "vww_96_int8", persons),
    _cifar("mobilenet_v2", "MobileNetV2, small images"),
    _cifar("mobilenet_v3", "MobileNetV3, small images"),
    Case("efficientnet_lite0", "EfficientNet-Lite0, photographs",
         f"{ROOT}/docs/examples/efficientnet_lite0/model.py:pretrained", photographs),
)
CASES = {case.name: case for case in ENTRIES}


def logits_only(graph: Graph) -> Graph:
    """The graph up to the softmax that its one output comes from, where there is one: the logits go out."""
    (name,) = graph.outputs
    op = graph.producers[name]
    while op.kind in VIEWS:
        op = graph.producers[op.inputs[0]]
    if op.kind != "softmax":
        return graph
    logits = (op.inputs[0],)
    return replace(graph, outputs=logits).with_ops(live_ops(graph.ops, logits))
