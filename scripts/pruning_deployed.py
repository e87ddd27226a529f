"""What benchmark_pruning.py measures of tuned networks as INT8: answers, sizes, instructions on an emulated
board, time on this host; and of criteria: whether they agree with the loss itself."""

from benchmark_peers import speed
import numpy as np
from pruning_cells import judged, samples_of, start
from pruning_figures import BOARD, Cell, Correlated, Deployed, Timed, Tuned
from pruning_networks import ROOT

from toolchain.artifact import Artifact
from toolchain.device.qemu import open_device
from toolchain.graph_file import read_graph
from toolchain.ir.graph import Graph
from toolchain.lower.tflite import write_tflite
from toolchain.pipeline import build, prepare
from toolchain.port import Port, convert
from toolchain.profile import load_target
from toolchain.prune.groups import channel_groups
from toolchain.prune.importance import IMPORTANCE, importance
from toolchain.prune.rank_correlation import agreement
from toolchain.recipe import Recipe
from toolchain.runtime.litert import LiteRT
from toolchain.train.evidence import task_loss

PROCESSES, PAIRS = 5, 40
"""Of a comparison of two files' time: processes, and blocks of each file in each."""
TRUTH = "perturbation"


def deployed(cell: Cell, of: Tuned, key: str) -> Deployed:
    """INT8 by calibration samples that nothing else has seen. The file is kept under the key."""
    profile, samples = load_target(BOARD), samples_of(cell.network, cell.seed)
    prepared = prepare(read_graph(ROOT / of.graph), Recipe(seed=cell.seed), samples, profile)
    model = write_tflite(prepared.graph)
    path = (ROOT / of.graph).with_name(f"{key}.tflite")
    path.write_bytes(model)
    artifact, hits = build(prepared, profile, samples), _hits(model, prepared.graph, cell)
    sizes = artifact.manifest.static_bytes
    return Deployed(key=key, cell=cell, test=float(hits.mean()), file=str(path.relative_to(ROOT)),
                    file_bytes=len(model), flash=sizes["flash"], ram=sizes["ram"],
                    instructions=_instructions(artifact))


def _instructions(artifact: Artifact) -> int:
    with open_device(artifact, load_target(BOARD)) as device:
        inputs = [artifact.vectors[f"input/{port.name}"][0].tobytes() for port in device.inputs]
        return device.count(inputs).instructions


def _hits(model: bytes, graph: Graph, cell: Cell) -> np.ndarray:
    """(n,) whether the file's first choice is the label."""
    test, session = samples_of(cell.network, cell.seed).split("test").fit_to(graph), LiteRT(model)
    (port,), (name,) = session.inputs, graph.inputs
    x = convert(test.feeds(slice(None))[name], Port(name, port.shape, "float32"), port)
    (codes,) = session.run({port.name: x}).values()
    return codes.reshape(len(codes), -1).argmax(1) == test.y


def timed(cell: Cell, of: Deployed, unpruned: Deployed, key: str) -> Timed:
    """In PROCESSES processes, in each of them in turn."""
    found = speed(ROOT / of.file, ROOT / unpruned.file, PROCESSES, PAIRS)
    return Timed(key=key, cell=cell, ms=(found["ours_ms"][0], found["theirs_ms"][0]),
                 ratio=found["ratio"][0], lowest=found["lowest"][0],
                 highest=found["highest"][0])


def correlated(network: str, key: str) -> Correlated:
    """Every criterion on the network as trained, and the truth on the samples that they see."""
    graph, samples = start(network), judged(Cell(network, "", 1.0, 0))
    groups = channel_groups(graph).groups
    evidence = task_loss(graph, samples.fit_to(graph), "top1")
    truth, ranks = importance(graph, groups, TRUTH, evidence, 0), {}
    for criterion in IMPORTANCE:
        if criterion != TRUTH:
            found = agreement(importance(graph, groups, criterion, evidence, 0), truth)
            ranks[criterion] = (found.spearman, found.kendall, *found.within)
    return Correlated(key=key, network=network, ranks=ranks)
