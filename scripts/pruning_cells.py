"""What benchmark_pruning.py measures, cell by cell: a network that one side prunes to a share of its MACs and
that is then tuned. Pruning is each side's own; samples, tuning and what is measured of it are the same."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark_peers import child
from figures import DEPLOYING, PRUNING, TRAINING, code, digest, packed
import msgspec
import numpy as np
from pruning_figures import BOARD, GAIN, MARGIN, NARROW, ROUNDED_FOR, THEIRS, UNPRUNED, Cell, Tuned
from pruning_networks import CASES, FOLDER, ROOT, Data
import torch

from toolchain.cost_table import load_cost_table
from toolchain.data import Samples
from toolchain.graph_file import read_graph, write_graph
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.ir.passes import canonical
from toolchain.load import arranged
from toolchain.load.torch import load_torch
from toolchain.profile import load_target
from toolchain.prune.groups import channel_groups
from toolchain.prune.prune import checked_cut
from toolchain.prune.select import least_counts
from toolchain.recipe import Recipe
from toolchain.runtime.torch_module import GraphModule
from toolchain.shrinking import JUDGED, Shrinking
from toolchain.train.distill import tensors
from toolchain.train.fit import fit, reestimate_batch_norm
from toolchain.training_sections import PruneConfig, TrainConfig

SCHEDULE = "gates"
"""Of ours, for every network; all else is the default of [prune]."""
TRAIN = TrainConfig(epochs=1, optimizer="sgd", weight_decay=5e-4)
"""Of every network and side, but for what follows; chosen by selection samples."""
EPOCHS = {"resnet8": 32, "ds_cnn": 30, "mobilenet_v2": 8, "watch": 25, "gru": 30, "transformer": 30}
RATES = {"resnet8": 0.05, "ds_cnn": 0.05, "mobilenet_v2": 0.05, "watch": 0.02, "gru": 0.05,
         "transformer": 1e-3}
"""The highest learning rate of a network."""
ADAMW: Mapping[str, float] = {"transformer": 0.05}
"""Networks of that optimiser -> weight decay."""
GRAPHS = FOLDER / "graphs"
THEIR_SIDE = ("scripts/prune_theirs.py", "requirements/torch-pruning.txt")
THEIR_PYTHON = ROOT / ".venv-torch-pruning" / "bin" / "python"


def recipe_of(cell: Cell) -> Recipe:
    """[prune] where the side is ours, [train] in any case."""
    train = msgspec.structs.replace(TRAIN, epochs=EPOCHS[cell.network], learning_rate=RATES[cell.network],
                                    loader=CASES[cell.network].loader_source)
    if cell.network in ADAMW:
        train = msgspec.structs.replace(train, optimizer="adamw", weight_decay=ADAMW[cell.network])
    if cell.side not in ROUNDED_FOR:
        return Recipe(train=train, seed=cell.seed)
    return Recipe(prune=_prune(cell), train=train, seed=cell.seed)


def _prune(cell: Cell) -> PruneConfig:
    """A share of the MACs; for the board, what that is to gain there too."""
    target = ROUNDED_FOR[cell.side]
    instructions = MARGIN * cell.share / GAIN if target == BOARD else None
    return PruneConfig(macs=cell.share, instructions=instructions, schedule=SCHEDULE,
                       channel_multiple=None if target else 1)


# A network and its samples ----------------------------------------------------------------------------------

@cache
def start(network: str) -> Graph:
    """As trained, with its batch norms."""
    return opened(*CASES[network].network(), network)


def trained(network: str) -> None:
    """Where it is not yet."""
    CASES[network].network()


def opened(module: torch.nn.Module, example: tuple, network: str) -> Graph:
    """As `load` gives it, but for the self-check."""
    return check(arranged(load_torch(module, example, network)), "FLOAT")


@cache
def samples_of(network: str, seed: int) -> Samples:
    """All parts, those of training in the seed's own order: criteria look at some of them."""
    data = CASES[network].data()
    order = np.random.default_rng(seed).permutation(len(data.train[1]))
    data = data._replace(train=tuple(array[order] for array in data.train))
    x, y = (np.concatenate(arrays) for arrays in zip(*data))
    splits = np.repeat(Data._fields, [len(labels) for _, labels in data])
    return Samples(network, {"x": x}, y, splits, np.arange(len(y)))


def judged(cell: Cell) -> Samples:
    """What either side sees when it prunes."""
    return samples_of(cell.network, cell.seed).split("train").take(JUDGED)


def hits(graph: Graph, cell: Cell, part: str) -> np.ndarray:
    """(n,) whether its first choice is the label, in float."""
    samples = samples_of(cell.network, cell.seed).split(part).fit_to(graph)
    module, found = GraphModule(graph).eval(), []
    with torch.no_grad():
        for feeds in samples.batches(256):
            found.append(module(tensors(feeds))[graph.outputs[0]].argmax(1).numpy())
    return np.concatenate(found) == samples.y


# Pruned by either side, and tuned ---------------------------------------------------------------------------

def tuned(cell: Cell, key: str) -> Tuned:
    """Prune, tune, answer the test samples."""
    return _written(cell, _made(cell), key)


def tuned_again(before: Tuned, times: int, key: str) -> Tuned:
    """The same for so many times as many epochs more, on other batches than before."""
    cell = before.cell
    return _written(cell, _tuned(cell, read_graph(ROOT / before.graph), times, cell.seed + 1), key)


def _written(cell: Cell, graph: Graph, key: str) -> Tuned:
    """The graph is kept in a file named after the key."""
    path = GRAPHS / f"{key}.graph"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_graph(path, graph)
    test = hits(graph, cell, "test")
    return Tuned(key=key, cell=cell, macs=(graph_macs(start(cell.network)), graph_macs(graph)),
                 parameters=canonical(graph).parameters,
                 selection=float(hits(graph, cell, "selection").mean()), test=float(test.mean()),
                 hits=packed(test), n=len(test), graph=str(path.relative_to(ROOT)))


def _made(cell: Cell) -> Graph:
    if cell.side == NARROW:
        return _narrowest(start(cell.network))
    return _ours(cell) if cell.side in ROUNDED_FOR else _tuned(cell, _theirs(cell), 1, cell.seed)


def _narrowest(graph: Graph) -> Graph:
    """The first channels of each group, as few as may be."""
    groups = channel_groups(graph).groups
    full = [group.channels for group in groups]
    few = least_counts(full, [1] * len(groups))
    return checked_cut(graph, groups, {n: np.arange(least, full[n]) for n, least in enumerate(few)})


def _ours(cell: Cell) -> Graph:
    """As `edge prune` and `edge build` do it."""
    target = ROUNDED_FOR[cell.side]
    profile = load_target(target) if target else None
    table = load_cost_table(profile) if profile else None
    samples = samples_of(cell.network, cell.seed)
    return Shrinking(start(cell.network), recipe_of(cell), samples, profile, table).run()


def _theirs(cell: Cell) -> Graph:
    """The unpruned network, or what Torch-Pruning makes of it, its batch norms re-estimated like ours."""
    if cell.side == UNPRUNED:
        return start(cell.network)
    network, example = CASES[cell.network].network()
    seen = judged(cell)
    with TemporaryDirectory() as folder:
        whole, samples, smaller = (Path(folder, name) for name in ("whole.pt", "samples.npz", "smaller.pt"))
        torch.save(network, whole)
        np.savez(samples, x=seen.x["x"], y=seen.y)
        child(THEIR_PYTHON, "prune_theirs.py", whole, samples, THEIRS[cell.side], cell.share, smaller)
        module = torch.load(smaller, weights_only=False)  # of our own child
    graph = opened(module, example, cell.network)
    return reestimate_batch_norm(graph, seen.fit_to(graph), cell.seed)


def _tuned(cell: Cell, graph: Graph, times: int, seed: int) -> Graph:
    """As ours are, taught by the unpruned network, for so many times as many epochs."""
    train, config = samples_of(cell.network, cell.seed).split("train").fit_to(graph), recipe_of(cell).train
    config = msgspec.structs.replace(config, epochs=times * config.epochs)
    return fit(graph, config, train, start(cell.network), seed)


# Keys: the digest of all that shapes a figure ---------------------------------------------------------------

def key_of(cell: Cell) -> str:
    """Of a tuned cell."""
    own = cell.side in ROUNDED_FOR or cell.side == NARROW
    shaping = PRUNING if own else THEIR_SIDE if cell.side in THEIRS else ()
    return digest("tuned", msgspec.json.encode(cell), recipe_of(cell).digest, start(cell.network).digest,
                  code((*TRAINING, *shaping)))


def later_key(what: str, cell: Cell) -> str:
    """Of what is made of a tuned cell."""
    return digest(what, key_of(cell), code(DEPLOYING))
