"""`edge prune`: a trained network in, a smaller one out, as a float file that `edge build` takes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
import shutil

import msgspec

from toolchain.atomic import require_place
from toolchain.conversion import format_of, write_model
from toolchain.cost_table import load_cost_table
from toolchain.data import Samples, load_samples
from toolchain.errors import BadConfig, DoesNotPay, ToolchainError, Unsupported
from toolchain.features import embedding
from toolchain.fitting import in_codes
from toolchain.ir.check import level_of
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.preprocess import network_samples
from toolchain.profile import TargetProfile
from toolchain.prune.cluster_size import cluster_size
from toolchain.prune.constants import fold_constants
from toolchain.prune.depth import without_branches
from toolchain.prune.explanation import BranchLine, Explanation, branch_lines, explain
from toolchain.prune.prune import channels_to_go, checked_cut, grouping_of, narrow, scores_of
from toolchain.prune.sparse_size import sparse_size
from toolchain.recipe import Recipe
from toolchain.report.progress import progress_bar
from toolchain.run_folder import RunFolder
from toolchain.shape_sections import ADDING_UP, LowRankConfig
from toolchain.shrinking import Shrinking
from toolchain.training_sections import BUDGETS, ClusterConfig, PruneConfig, SparsifyConfig, TrainConfig
from toolchain.tuning import epochs_of

EPOCHS = 10
"""Of training after pruning, where there are samples to train with and nothing else is said."""


class PruneRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the network: pairs are before and after.

    cost:   on the target, by its table, in `unit`; None without a table
    scores: by `metric` on `scored` test samples, in float; None where there are none
    notes:  what was done, in words
    """

    source: str
    written: str
    bytes: int
    macs: tuple[int, int]
    parameters: tuple[int, int]
    epochs: int
    target: str = ""
    unit: str = ""
    cost: tuple[float, float] | None = None
    metric: str = ""
    scores: tuple[float, float] | None = None
    scored: int = 0
    notes: tuple[str, ...] = ()


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be pruned, for which target, on what samples."""

    model: str
    recipe: Recipe
    profile: TargetProfile | None = None
    data: str | None = None
    checkpoint: Path | None = None

    def opened(self, say: Callable[[str], None]) -> Shrinking:
        """Loaded. Raises Unsupported for a quantized model."""
        recipe = self.recipe
        graph = load(self.model, shapes=recipe.shapes, checkpoint=self.checkpoint or recipe.checkpoint)
        if level_of(graph) == "QUANTIZED":
            raise Unsupported(f"{graph.name} is already quantized: it cannot be pruned or trained; start "
                              f"from its float model")
        samples = load_samples(self.data) if self.data else None
        if samples is not None and recipe.input.takes_frames:
            samples = network_samples(samples, recipe.input, graph)
        table = load_cost_table(self.profile) if self.profile else None
        return Shrinking(graph, recipe, samples, self.profile, table, say=say)


def recipe_of(recipe: Recipe, has_data: bool, prune: Mapping, low_rank: Mapping, sparsify: Mapping,
              cluster: Mapping, train: Mapping) -> Recipe:
    """The recipe with what the command line says on top; a value of None says nothing.

    Budgets of the command line take the place of the recipe's. With samples it trains for EPOCHS unless
    something is said about training; epochs = 0 means none. Raises BadConfig.
    """
    prune, low_rank, sparsify, cluster, train = (
        {key: value for key, value in part.items() if value is not None}
        for part in (prune, low_rank, sparsify, cluster, train))
    changes: dict = {}
    if prune or recipe.prune:
        own = msgspec.structs.asdict(recipe.prune) if recipe.prune else {}
        own |= dict.fromkeys(BUDGETS) if set(prune) & set(BUDGETS) else {}
        changes["prune"] = _section(PruneConfig, own | prune)
    if low_rank:
        own = msgspec.structs.asdict(recipe.low_rank) if recipe.low_rank else {}
        changes["low_rank"] = _section(LowRankConfig, own | dict.fromkeys(ADDING_UP) | low_rank)
    if sparsify:
        own = msgspec.structs.asdict(recipe.sparsify) if recipe.sparsify else {}
        changes["sparsify"] = _section(SparsifyConfig, own | sparsify)
    if cluster:
        own = msgspec.structs.asdict(recipe.cluster) if recipe.cluster else {}
        changes["cluster"] = _section(ClusterConfig, own | cluster)
    if recipe.earlier and "epochs" in train:
        raise BadConfig(f"--epochs {train['epochs']}: the recipe has [[earlier]] steps, each with epochs of "
                        f"its own; say there for how long it trains")
    usual = {"epochs": EPOCHS} if has_data else {}
    wanted = (msgspec.structs.asdict(recipe.train) if recipe.train else usual) | train
    if wanted:
        changes["train"] = _section(TrainConfig, wanted) if wanted.get("epochs") else None
    return msgspec.structs.replace(recipe, **changes)


def _section(kind: type, values: Mapping):
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise BadConfig(f"{error}") from None


def prune_model(subject: Subject, out: Path, say: Callable[[str], None], quiet: bool = True) -> PruneRecord:
    """Write the pruned network.

    What a run has made lies beside `out` until it ends: after it was killed it goes on from there.
    Raises BadConfig where nothing is asked for, DoesNotPay, and what loading, pruning and training do.
    """
    recipe = subject.recipe
    if not (recipe.earlier or recipe.prune or recipe.low_rank or recipe.sparsify or recipe.cluster):
        raise BadConfig(f"nothing to prune by: give {_options()}, or --low-rank, --sparsity or --clusters")
    format_of(out)
    require_place(out)
    shrinking, folder = subject.opened(say), out.with_name(f".{out.name}.unfinished")
    with progress_bar("training", shrinking.epochs, unit="epochs", quiet=quiet) as tell:
        smaller = _kept(replace(shrinking, folder=folder, progress=lambda epoch: tell(epoch.number)))
    written = write_model(canonical(smaller), out)
    shutil.rmtree(folder)
    return _record(subject, shrinking, smaller, str(out), written)


def _kept(shrinking: Shrinking) -> Graph:
    """Where a run ends with an error, what it has trained stays for the same command to go on with; of one
    that does not pay, nothing does."""
    shrinking.claim()
    try:
        return shrinking.run()
    except ToolchainError as error:
        if isinstance(error, DoesNotPay) or not RunFolder(shrinking.folder).has_trained:
            shutil.rmtree(shrinking.folder)
        raise


def explain_model(subject: Subject, say: Callable[[str], None]) -> Explanation:
    """Every group with its score and what goes of it, and everything that is not pruned, with the reason;
    every residual branch too, where whole ones may go; and what [low_rank] makes of each op of what is left
    when that goes at once."""
    if not (subject.recipe.prune or subject.recipe.low_rank):
        raise BadConfig(f"--explain tells what a budget would take: give {_options()}, or --low-rank")
    if subject.recipe.earlier:
        raise BadConfig("--explain tells what goes in one step, and the recipe has [[earlier]] ones; leave "
                        "them out")
    shrinking = subject.opened(say)
    graph, config = shrinking.graph, subject.recipe.prune
    if config is None:
        return _with_thin(Explanation(graph.name, (), ()), shrinking, graph)
    aim = shrinking.aim()
    branches: tuple[BranchLine, ...] = ()
    if config.blocks:
        smaller, removed = without_branches(graph, config, aim)
        branches, graph = branch_lines(graph, removed), smaller
    grouping = grouping_of(graph, config)
    groups = grouping.groups
    scores = scores_of(graph, groups, config, aim)
    gone = channels_to_go(graph, groups, scores, config, aim)
    fixed = {**grouping.fixed, **narrow(groups, aim.steps(graph, groups))}
    found = replace(explain(graph, replace(grouping, fixed=fixed), scores, gone), branches=branches)
    if subject.recipe.low_rank is None:
        return found
    return _with_thin(found, shrinking, checked_cut(fold_constants(graph, groups, gone), groups, gone))


def _with_thin(found: Explanation, shrinking: Shrinking, graph: Graph) -> Explanation:
    """With what [low_rank] makes of the graph."""
    made = shrinking.thin(graph)
    return replace(found, thin=made.lines, unit=made.unit)


def _options() -> str:
    return "one or more of " + ", ".join(f"--{name}" for name in BUDGETS).replace("_", "-")


def _record(subject: Subject, shrinking: Shrinking, smaller: Graph, out: str, written: int) -> PruneRecord:
    graphs, table, test = (shrinking.graph, smaller), shrinking.table, _test_samples(shrinking)
    return PruneRecord(
        source=subject.model, written=out, bytes=written, macs=tuple(map(graph_macs, graphs)),
        parameters=tuple(canonical(graph).parameters for graph in graphs), epochs=epochs_of(shrinking.recipe),
        target=subject.profile.name if subject.profile else "", unit=table.unit if table else "",
        cost=tuple(map(table.predict, graphs)) if table else None, metric=subject.recipe.metric,
        scores=_scores(shrinking, smaller, test) if test else None, scored=len(test) if test else 0,
        notes=(*smaller.source.notes, *_stored(subject, smaller)))


def _stored(subject: Subject, smaller: Graph) -> tuple[str, ...]:
    """What zeros among single weights, and values that they share, are good for."""
    recipe, graph, notes = subject.recipe, canonical(smaller), []
    if recipe.sparsify:
        notes.append(sparse_size(graph).summary)
    if recipe.cluster:
        notes.append(f"in float, {cluster_size(graph).summary}")
        notes.append(f"in INT8, {cluster_size(in_codes(graph)).summary}")
    return tuple(notes)


def _test_samples(shrinking: Shrinking) -> Samples | None:
    """Those that nothing was chosen by; None where the source keeps none apart."""
    samples = shrinking.samples
    if samples is None or samples.splits is None or not samples.has("test"):
        return None
    return samples.split("test").fit_to(shrinking.graph)


def _scores(shrinking: Shrinking, smaller: Graph, test: Samples) -> tuple[float, float]:
    from toolchain.runtime.torch_module import GraphModule
    from toolchain.train.distill import Teacher
    from toolchain.train.scoring import Judge

    graph = shrinking.graph
    judge = Judge.of(shrinking.recipe.metric, graph.outputs, test, Teacher(graph),
                     embedding(shrinking.recipe.features))
    return judge.score(GraphModule(graph)), judge.score(GraphModule(smaller))


def prune_text(record: PruneRecord) -> str:
    """Lines for a terminal."""
    lines = [f"{record.written}: {record.bytes:,} bytes", *record.notes,
             _pair("MACs", record.macs), _pair("parameters", record.parameters)]
    if record.cost:
        lines.append(_pair(f"{record.unit} on {record.target}, INT8, by its table", record.cost))
    if record.scores:
        before, after = record.scores
        lines.append(f"{record.metric} on {record.scored:,} test samples, in float: {before:.4f} -> "
                     f"{after:.4f}")
    return "\n".join(lines)


def _pair(what: str, pair: tuple[float, float]) -> str:
    before, after = (f"{number:,.0f}" if number >= 100 else f"{number:.3g}" for number in pair)
    times = f" ({pair[0] / pair[1]:.2f}x fewer)" if pair[1] else ""
    return f"{what}: {before} -> {after}{times}"
