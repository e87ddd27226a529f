"""What compare_conditional.py measures: one set of weights in several widths, the top bits of codes, channels
chosen by gates; and beside them pruned networks and cascades of the same instructions."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

import cifar_networks
from conditional_bits import with_top_bits
from conditional_figures import (
    INT4,
    INT8,
    RESCALED,
    TOP,
    Answer,
    Bits,
    Gates,
    Subject,
    Weighed,
    Widths,
)
from conditional_networks import (
    DECAY,
    NETWORKS,
    RATE,
    WIDTHS,
    gated,
    labels_loss,
    learn,
    right,
    sandwich,
    sliced,
    slimmable,
    taught_by,
)
from figures import packed
import numpy as np
from pruning_cells import hits, opened, samples_of
from pruning_figures import BOARD
from pruning_networks import CASES
import torch

from tests.device.trials import images, run_trials, trial
from tests.lower.c.nets import Net
from toolchain.cascade import cascade_of
from toolchain.chain import run_chain
from toolchain.chaining import Goal
from toolchain.cost_table import load_cost_table
from toolchain.errors import DoesNotFit
from toolchain.execution import watch
from toolchain.graph_file import read_graph, write_graph
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.ir.quant import quantize
from toolchain.pipeline import prepare
from toolchain.profile import load_target
from toolchain.quantize.reals import reals_of
from toolchain.recipe import PruneConfig, QuantSpec, Recipe, TrainConfig
from toolchain.runtime import reference
from toolchain.shrinking import Shrinking

BOARDS = ("cortex_m0_qemu", "cortex_m3_qemu", BOARD, "cortex_m33_qemu", "cortex_m55_qemu", "riscv32_qemu")
"""One of each instruction set; a network has figures of those that it fits."""
KEEPS: Mapping[float, float] = {0.75: 0.5, 0.5: 0.25}
"""Share of channels that gates keep -> width whose pruned network is the small one of a cascade beside."""
SHARES = (0.75, *WIDTHS[1:])
"""Widths at whose instructions pruned networks are."""
WARM_UP = 0.3
"""Of the steps of tuning, as OneCycleLR has it for the others."""
MARGIN = 0.97
"""Of the instructions that pruning may leave by the table, as that may be off."""


# What is asked of every network -----------------------------------------------------------------------------

def counted(graphs: Sequence[Graph], board: str = BOARD) -> list[tuple[int, int]]:
    """Exact instructions of an inference of each quantized graph, by kernels chosen for speed, and its
    constants' bytes. The board's outputs are the reference's."""
    profile, random, trials = load_target(board), np.random.default_rng(0), []
    for number, graph in enumerate(graphs):
        feeds = {name: random.integers(-128, 128, graph.tensors[name].shape).astype(np.int8)
                 for name in graph.inputs}
        trials.append(trial(graph, feeds, reference.run(graph, feeds), profile, number))
    took: dict[int, int] = {}
    for image in images(trials, profile.flash_bytes // 2):
        outcome = run_trials(image, profile)
        assert not outcome.wrong, f"{board}: wrong codes of {graphs[outcome.wrong[0][0]].name}"
        took |= outcome.instructions
    return [(took[number], one.source.weight_bytes) for number, one in enumerate(trials)]


def coded(graph: Graph, of: Subject, scheme: str = "static_wi8_ai8") -> Graph:
    """A FLOAT graph quantized by the default recipe."""
    recipe = Recipe(quantize=QuantSpec(scheme=scheme), seed=of.seed)
    return prepare(graph, recipe, samples_of(of.network, of.seed), load_target(BOARD)).graph


def coded_hits(graph: Graph, of: Subject) -> str:
    test = samples_of(of.network, of.seed).split("test").fit_to(graph)
    (logits,) = reals_of(graph, graph.outputs, test, watch)
    return packed(logits.argmax(1) == test.y)


def answers(graphs: Mapping[str, Graph], of: Subject) -> dict[str, Answer]:
    """Of FLOAT graphs."""
    integer = [coded(graph, of) for graph in graphs.values()]
    return {name: Answer(packed(hits(graph, of.cell, "test")), coded_hits(codes, of), graph_macs(graph),
                         *taken)
            for (name, graph), codes, taken in zip(graphs.items(), integer, counted(integer))}


# Networks ---------------------------------------------------------------------------------------------------

def fresh(of: Subject) -> torch.nn.Module:
    torch.manual_seed(of.seed)
    return NETWORKS[of.network]()


def whole(of: Subject) -> torch.nn.Module:
    network = fresh(of)
    return cifar_networks.kept(network, of.path("whole.pt"), lambda: learn(
        network, of.network, of.epochs[0], of.seed, labels_loss))


def whole_graph(of: Subject) -> Graph:
    return opened(whole(of), (of.example,), of.network)


def shape_of(of: Subject, width: float) -> Graph:
    """The network that is kept of every layer, untrained."""
    network = sliced(slimmable(fresh(of), (width,)), width, of.example)
    return opened(network, (of.example,), of.network)


def alone(of: Subject, width: float) -> Graph:
    """A network of this width that shares nothing, trained as long as one that does."""
    network = sliced(slimmable(fresh(of), (width,)), width, of.example)
    learn(network, of.network, sum(of.epochs), of.seed, taught_by(whole(of)))
    return opened(network, (of.example,), of.network)


def pruned(of: Subject, width: float) -> Graph:
    """The whole network, pruned in one shot to the instructions of a width and tuned."""
    path = of.path(f"pruned-{width}.graph")
    if not path.exists():
        profile, samples = load_target(BOARD), samples_of(of.network, of.seed)
        ((most, _),) = counted([coded(shape_of(of, width), of)])
        train = TrainConfig(epochs=of.epochs[1], learning_rate=RATE, weight_decay=DECAY, warm_up=WARM_UP,
                            loader=CASES[of.network].loader_source)
        recipe = Recipe(prune=PruneConfig(instructions=MARGIN * most), train=train, seed=of.seed)
        table = load_cost_table(profile)
        write_graph(path, Shrinking(whole_graph(of), recipe, samples, profile, table).run())
    return read_graph(path)


# Figures ----------------------------------------------------------------------------------------------------

def widths(of: Subject, key: str) -> Widths:
    slim = learn(slimmable(fresh(of)), of.network, sum(of.epochs), of.seed, sandwich)
    graphs = {f"slice {width:g}": opened(sliced(slim, width, of.example), (of.example,), of.network)
              for width in WIDTHS}
    graphs |= {"whole": whole_graph(of), **{f"pruned {width:g}": pruned(of, width) for width in SHARES}}
    graphs |= {f"alone {width:g}": alone(of, width) for width in WIDTHS[1:]}
    return Widths(key=key, subject=of, n=_tests(of), answers=answers(graphs, of))


def bits(of: Subject, key: str) -> Bits:
    graph = whole_graph(of)
    fine = coded(graph, of)
    graphs = {INT8: fine, TOP: with_top_bits(fine, False), RESCALED: with_top_bits(fine, True),
              INT4: coded(graph, of, "static_wi4_ai8")}
    return Bits(key=key, subject=of, n=_tests(of), answers={
        name: Answer("", coded_hits(each, of), graph_macs(graph), 0, 0) for name, each in graphs.items()})


def gates(of: Subject, key: str) -> Gates:
    teacher, found = whole(of), {}
    ((most, _),) = counted([coded(whole_graph(of), of)])
    for keep, small in KEEPS.items():
        shape = shape_of(of, keep)
        network = gated(teacher, keep)
        predictors = predictors_of(network, of.example)
        bound = sum(taken for taken, _ in counted([coded(shape, of), *predictors]))
        learn(network, of.network, of.epochs[1], of.seed, taught_by(teacher))
        macs = graph_macs(shape) + sum(map(graph_macs, predictors))
        found[f"gates {keep:g}"] = Answer(packed(right(network, of.network, "test")), "", macs, bound, 0)
        found[f"cascade {keep:g}"] = cascaded(of, small, bound / most)
    return Gates(key=key, subject=of, n=_tests(of), answers=found)


def predictors_of(network: torch.nn.Module, example: torch.Tensor) -> list[Graph]:
    """What each gate computes, of the input channels that are left: their means, and a fully connected op."""
    graphs, shapes = [], {}
    hooks = [gate.register_forward_pre_hook(lambda gate, given: shapes.update({gate: given[0].shape}))
             for gate in network.gates.values()]
    with torch.no_grad():
        network.eval()(example)
    for hook in hooks:
        hook.remove()
    for number, (gate, (_, channels, *places)) in enumerate(shapes.items()):
        net, left = Net(f"gate{number}"), channels if number == 0 else round(gate.keep * channels)
        x = net.codes_in("x", 1, *places, *[1] * (2 - len(places)), left)
        mean = net.make("mean", x, "mean", axes=(1, 2), keepdims=False)
        weights = net.weights("w", mean, (gate.predict.out_features, left))
        graphs.append(net.finish(net.make("fully_connected", (mean, *weights), "y")))
    return graphs


def cascaded(of: Subject, small: float, cost: float) -> Answer:
    """Of the pruned network of a width and the whole one, at a share of the whole one's instructions."""
    profile, samples = load_target(BOARD), samples_of(of.network, of.seed)
    ready = partial(prepare, recipe=Recipe(seed=of.seed), samples=samples, profile=profile)
    made = cascade_of(ready(pruned(of, small)), ready(whole_graph(of)), samples, profile, Goal(cost=cost))
    ends, tested = made.chain.ends, made.report.tested
    test = samples.split("test").fit_to(ends)
    feeds = {name: quantize(x, ends.tensors[name].quant) for name, x in test.feeds(slice(None)).items()}
    logits = run_chain(made.chain, feeds)[made.chain.logits.name]
    macs = np.cumsum([graph_macs(graph) for graph in made.chain.stages]) @ np.array(tested.shares)
    return Answer("", packed(logits.argmax(1) == test.y), float(macs), tested.cost * made.report.alone, 0)


def weighed(of: Subject, key: str) -> Weighed:
    graphs = [coded(whole_graph(of), of, scheme) for scheme in ("static_wi8_ai8", "static_wi4_ai8")]
    found = {}
    for board in BOARDS:
        with suppress(DoesNotFit):
            (eight, _), (four, _) = counted(graphs, board)
            found[board] = eight, four
    (_, eight), (_, four) = counted(graphs)
    return Weighed(key=key, network=of.network, instructions=found, constants=(eight, four))


def _tests(of: Subject) -> int:
    return len(CASES[of.network].data().test[1])
