"""What benchmark_pruning.py measures of tuned networks as INT8: answers, sizes, instructions on an emulated
board, time on this host; and of criteria: whether they agree with the loss itself."""

from benchmark_peers import speed
import msgspec
import numpy as np
from pruning_cells import BOARD, ROOT, Cell, Tuned, judged, packed, samples_of, start
import torch

from toolchain.artifact import Artifact, Port, convert
from toolchain.device.qemu import open_device
from toolchain.graph_file import read_graph
from toolchain.ir.graph import Graph
from toolchain.lower.tflite import write_tflite
from toolchain.pipeline import build, prepare
from toolchain.profile import load_target
from toolchain.prune.groups import channel_groups
from toolchain.prune.importance import IMPORTANCE, importance
from toolchain.prune.rank_correlation import agreement
from toolchain.recipe import Recipe
from toolchain.runtime.litert import LiteRT
from toolchain.train.tasks import task_loss

PROCESSES, PAIRS = 5, 40
"""Of a comparison of two files' time: processes, and blocks of each file in each."""
TRUTH = "perturbation"


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """A tuned cell as INT8, by the default recipe: bytes, and exact instructions of an inference on BOARD.

    test: share of the test samples that LiteRT has right;  hits: on each, packed
    """

    cell: Cell
    test: float
    hits: str
    file: str
    file_bytes: int
    flash: int
    ram: int
    instructions: int


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """A cell's INT8 file beside the unpruned network's, in LiteRT on one thread of this host.

    ms:             CPU time of an inference, of the cell's, of the unpruned network's: medians
    ratio:          of the two, median over processes;  lowest, highest: of single processes
    """

    cell: Cell
    ms: tuple[float, float]
    ratio: float
    lowest: float
    highest: float


class Correlated(msgspec.Struct, frozen=True, kw_only=True):
    """Rank correlation of a criterion with what masking each channel does to the loss of the same samples.

    spearman, kendall: over all channels;  within: their means over groups
    """

    network: str
    criterion: str
    spearman: float
    kendall: float
    within: tuple[float, float]


def deployed(cell: Cell, key: str, of: Tuned) -> Deployed:
    """INT8 by calibration samples that nothing else has seen. The file is kept under the key."""
    torch.set_num_threads(1)
    profile, samples = load_target(BOARD), samples_of(cell.network, cell.seed)
    prepared = prepare(read_graph(ROOT / of.graph), Recipe(seed=cell.seed), samples, profile)
    model = write_tflite(prepared.graph)
    path = (ROOT / of.graph).with_name(f"{key}.tflite")
    path.write_bytes(model)
    artifact, hits = build(prepared, profile, samples), _hits(model, prepared.graph, cell)
    sizes = artifact.manifest.static_bytes
    return Deployed(cell=cell, test=float(hits.mean()), hits=packed(hits), file=str(path.relative_to(ROOT)),
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


def timed(cell: Cell, of: Deployed, unpruned: Deployed) -> Timed:
    """In PROCESSES processes, in each of them in turn."""
    found = speed(ROOT / of.file, ROOT / unpruned.file, PROCESSES, PAIRS)
    return Timed(cell=cell, ms=(found["ours_ms"][0], found["theirs_ms"][0]), ratio=found["ratio"][0],
                 lowest=found["lowest"][0], highest=found["highest"][0])


def correlated(network: str) -> list[Correlated]:
    """Every criterion on the network as trained, and the truth on the samples that they see."""
    torch.set_num_threads(1)
    graph, samples = start(network), judged(Cell(network, "", 1.0, 0))
    groups = channel_groups(graph).groups
    evidence = task_loss(graph, samples.fit_to(graph), "top1")
    truth = importance(graph, groups, TRUTH, evidence, 0)
    found = []
    for criterion in IMPORTANCE:
        if criterion != TRUTH:
            rank = agreement(importance(graph, groups, criterion, evidence, 0), truth)
            found.append(Correlated(network=network, criterion=criterion, spearman=rank.spearman,
                                    kendall=rank.kendall, within=rank.within))
    return found
