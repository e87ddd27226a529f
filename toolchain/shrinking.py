"""The float network made smaller by a recipe, and trained again by what it was.

What a run has made is kept in a folder, where one is given: a run that was killed goes on from there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
import hashlib
from importlib.metadata import version
from pathlib import Path

import msgspec

from toolchain.budgets import Purpose, budget_in, low_rank_limit, table_cost
from toolchain.cost_table import CostTable
from toolchain.data import Samples
from toolchain.errors import BadConfig, BadSamples, DoesNotPay, Unsupported
from toolchain.fitting import at_resolution
from toolchain.graph_file import Keep
from toolchain.identity import identity, own_code
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.load import load
from toolchain.profile import TargetProfile
from toolchain.prune.cluster import cluster
from toolchain.prune.evidence import Evidence
from toolchain.prune.low_rank import LowRank, low_rank
from toolchain.prune.prune import Aim, Pruned, grouping_of
from toolchain.prune.schedule import Work, shrunk
from toolchain.prune.sparsify import sparsify
from toolchain.recipe import QuantSpec, Recipe
from toolchain.run_folder import RunFolder
from toolchain.runtime.additions import Addition
from toolchain.tuning import Tuning, epochs_of

JUDGED = 512
"""Samples at most by which importance is judged."""
LEAST_GAIN = 0.02
"""Share of what a network takes on its target, by the target's table, that pruning must save."""
SHAPING = ("shapes", "checkpoint", "metric", "features", "seed", "scale", "earlier", "prune", "low_rank",
           "sparsify", "cluster", "train")
"""Of a recipe, what decides the float graph; with budgets of [prune] the scheme of [quantize] does too."""


@dataclass(frozen=True, eq=False)
class Shrinking:
    """A FLOAT graph and what is to become of it.

    samples: as the network itself takes them; None without
    profile, table: of the target that it is for, and what ops cost there; None where none is named or known
    folder:  where what was made is kept until the end; None: nowhere
    say:     told what was done, in words
    progress: told of every epoch, a train.loop.Epoch, counted over all phases of training, those that were
             done before a run was killed among them; of each step by itself
    keep:    by whom what this makes, and each step before it, is kept by content
    """

    graph: Graph
    recipe: Recipe
    samples: Samples | None
    profile: TargetProfile | None = None
    table: CostTable | None = None
    folder: Path | None = None
    say: Callable[[str], None] = lambda message: None
    progress: Callable | None = None
    keep: Keep | None = None

    def run(self) -> Graph:
        """The FLOAT graph as [[earlier]], [prune], [low_rank], [sparsify], [cluster] and [train] leave it;
        its source notes what was done.

        Raises BadSamples where there are none to train with, DoesNotPay, and what pruning and training do.
        """
        self.check()
        self.claim()
        return self.keep(self._key, self._made) if self.keep else self._made()

    def claim(self) -> None:
        """Write into the folder what it is of. Raises BadInput where it is another run's."""
        self._run.claim(self._identity)

    @property
    def _run(self) -> RunFolder:
        return RunFolder(self.folder)

    @property
    def _key(self) -> str:
        """Of all that decides the graph."""
        recipe = Recipe(**{name: getattr(self.recipe, name) for name in SHAPING})
        if recipe.prune and recipe.prune.budgets:
            recipe = msgspec.structs.replace(recipe, quantize=QuantSpec(scheme=self.recipe.quantize.scheme))
        made_by = ("torch", "numpy") if epochs_of(recipe) else ("numpy",)
        return _digest(replace(self, recipe=recipe)._identity() | {name: version(name) for name in made_by})

    def _identity(self) -> dict[str, str]:
        """All that decides what is made -> its digest."""
        found = {"recipe": self.recipe.digest, "tool": version("edge-toolchain"), **own_code(self.recipe),
                 **identity(self.graph, self.samples, self.profile, self.table)}
        return found | {f"teacher {name}": teacher_named(name, self.recipe).digest
                        for name in teachers_of(self.recipe)}

    def _made(self) -> Graph:
        graph, epochs = self.start, self.epochs
        if self.recipe.prune:
            graph, epochs = self._pruned()
        if self.recipe.low_rank:
            graph = self._thinned(graph)
        additions: Sequence[Addition] = ()
        if self.recipe.sparsify:
            graph, additions = self._sparse(graph)
        if self.recipe.cluster:
            graph, additions = self._clustered(graph, additions)
        if epochs:
            before = self.epochs - epochs
            graph = self._run.remember("tuned", lambda: self._tune(graph, epochs, additions, before))
        return check(graph, "FLOAT")

    @cached_property
    def start(self) -> Graph:
        """The graph as the steps before this one leave it. Raises BadGraph."""
        return self._before.run() if self._before else self._scaled

    @cached_property
    def _before(self) -> "Shrinking | None":
        """Of the last of the steps before this one."""
        if not self.recipe.earlier:
            return None
        *before, last = self.recipe.earlier
        recipe = msgspec.structs.replace(self.recipe, earlier=tuple(before), prune=last.prune,
                                         train=last.train, low_rank=None, sparsify=None, cluster=None)
        return replace(self, recipe=recipe, folder=self._run.within("earlier"))

    @cached_property
    def _scaled(self) -> Graph:
        """The graph as it came, at the recipe's resolution."""
        scale = self.recipe.scale
        if scale is None:
            return self.graph
        graph = at_resolution(self.graph, scale.resolution)
        sides = graph.tensors[graph.ops[0].name].shape[1:3]
        return self._noted(graph, f"works on {sides[0]} x {sides[1]} of its input")

    def check(self) -> None:
        """Raise BadSamples, BadConfig and what training raises of a teacher, before anything is done."""
        train, samples = self.recipe.train, self.samples
        if train and samples is None:
            raise BadSamples(f"{self.graph.name}: the recipe's [train] needs samples, beside a loader of "
                             f"your own too; give --data")
        wanted = (("train", "calibration"), *([("selection",)] if train.patience else [])) if train else ()
        if missing := [names[0] for names in wanted if not any(map(samples.has, names))]:
            raise BadSamples(f"{samples.name}: no samples for '{missing[0]}', which [train] needs; give "
                             f"some, or leave training out: `edge prune --epochs 0`")
        if train:
            self._check_teacher()
        config = self.recipe.sparsify
        if config and config.schedule != "one_shot" and not self.epochs:
            raise BadConfig(f'[sparsify] schedule = "{config.schedule}" finds zeros while it trains; give '
                            f'samples and [train], or take schedule "one_shot"')

    def _check_teacher(self) -> None:
        """What a run would be stopped for after it has pruned. Raises as `Transfer` and `answers_of`."""
        from toolchain.train.answers import answers_of
        from toolchain.train.features import Transfer

        answers_of(self.graph, self.teacher, self.recipe.metric)
        Transfer(self.recipe.train, self.graph, self.teacher)

    @cached_property
    def teacher(self) -> Graph:
        """The graph as it came, or what [train] teacher names. Raises as `load`, Unsupported for a quantized
        one."""
        named = self.recipe.train.teacher
        return teacher_named(named, self.recipe) if named else self.graph

    def _pruned(self) -> tuple[Graph, int]:
        """The pruned graph, and the epochs of training that are left for it."""
        config, aim = self.recipe.prune, self.aim()
        work = Work(self._tune, self.epochs, self._settled, self._run.remember)
        graph, epochs = shrunk(self.start, config, aim, work)
        if graph.parameters == self.start.parameters and not config.shares:
            self.say(f"{graph.name} is within its budget as it is: no channel goes")
        elif not config.shares:
            self._require_gain(self.start, graph, "pruning", "Prune more")
        grouping = grouping_of(self.start, config)
        steps = aim.steps(self.start, grouping.groups)
        return self._noted(graph, Pruned.of(self.start, grouping, steps, graph).summary), epochs

    def thin(self, graph: Graph) -> LowRank:
        """What [low_rank] makes of the graph."""
        config = self.recipe.low_rank
        limit = low_rank_limit(graph, Purpose(config, self.profile, self.table))
        table = table_cost(self.table) if self.table else None
        samples = self._judged() if self.samples is not None else None
        return low_rank(graph, config, limit, samples, table, self.recipe.seed)

    def _thinned(self, graph: Graph) -> Graph:
        """Made anew where a run goes on: that takes no training."""
        made = self.thin(graph)
        if not any(line.form for line in made.lines):
            self.say(f"{graph.name} is within [low_rank]'s budget as it is: no op becomes two")
            return graph
        self._require_gain(graph, made.graph, "low rank", "Lower its budget")
        return self._noted(self._settled(made.graph), made.summary)

    def _noted(self, graph: Graph, summary: str) -> Graph:
        """What was done is noted in the source."""
        return replace(graph, source=replace(graph.source, notes=(*graph.source.notes, summary)))

    def aim(self) -> Aim:
        """What [prune] asks for. Raises BadConfig where nothing tells what its budget takes."""
        config = self.recipe.prune
        purpose = Purpose(config, self.profile, self.table, self.recipe.quantize.scheme)
        aim = purpose.aim(self.start, self.evidence(), self.recipe.seed)
        if not self.recipe.earlier:
            return aim
        groups = grouping_of(self._scaled, config).groups
        steps = dict(zip((group.name for group in groups), aim.steps(self._scaled, groups)))
        return replace(aim, channels={group.name: group.channels for group in groups},
                       steps=lambda graph, left: [steps.get(group.name, 1) for group in left])

    def evidence(self) -> Evidence | None:
        """Samples by which importance is judged: those of training, of calibration where there are none."""
        if self.samples is None:
            return None
        from toolchain.train.evidence import task_loss

        return task_loss(self.start, self._judged(), self.recipe.metric)

    @property
    def epochs(self) -> int:
        """Of training altogether."""
        return self.recipe.train.epochs if self.recipe.train else 0

    def _judged(self) -> Samples:
        """Of training, of calibration where there are none."""
        name = "train" if self.samples.has("train") else "calibration"
        return self.samples.split(name).take(JUDGED).fit_to(self.graph)

    def _settled(self, graph: Graph) -> Graph:
        if self.samples is None:
            return graph
        from toolchain.train.fit import reestimate_batch_norm

        return reestimate_batch_norm(graph, self._judged(), self.recipe.seed)

    def _tune(self, graph: Graph, epochs: int, additions: Sequence[Addition], before: int) -> Graph:
        tuning = Tuning(self.recipe, self.samples, self.teacher, self.folder, self.say, self.progress)
        return tuning.run(graph, epochs, additions, before)

    def _sparse(self, graph: Graph) -> tuple[Graph, Sequence[Addition]]:
        """The graph with its zeros, or what makes them while it is trained."""
        from toolchain.prune.movement import Movement
        from toolchain.prune.sparse_training import GradualSparsity, Masked

        config = self.recipe.sparsify
        if config.schedule == "one_shot":
            sparse = sparsify(graph, config)
            return self._noted(sparse.graph, sparse.summary), [Masked(sparse.masks)]
        return graph, [(Movement if config.schedule == "movement" else GradualSparsity)(graph, config)]

    def _clustered(self, graph: Graph, additions: Sequence[Addition]) -> tuple[Graph, Sequence[Addition]]:
        """The graph with few values, and what keeps them few while it is trained."""
        from toolchain.prune.cluster_training import Sharing

        made = cluster(graph, self.recipe.cluster)
        return self._noted(made.graph, made.summary), [*additions, Sharing(made.shares)]

    def _require_gain(self, whole: Graph, smaller: Graph, way: str, advice: str) -> None:
        """Raise DoesNotPay where the target, by its table, gains nothing from this way of making it smaller.
        """
        if self.table is None:
            return
        before, after = self.table.predict(whole), self.table.predict(smaller)
        unit = self.table.unit
        told = f"{before:,.6g} {unit} -> {after:,.6g} on {self.table.target}, by its table"
        if after > (1 - LEAST_GAIN) * before:
            raise DoesNotPay(f"{self.graph.name}: {way} does not pay: {told}; MACs {graph_macs(whole):,} -> "
                             f"{graph_macs(smaller):,}. {advice}, or limit {budget_in(unit)} itself: the "
                             f"channels that cost most there go first then")
        self.say(told)


def _digest(facts: Mapping[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest()


def teachers_of(recipe: Recipe) -> list[str]:
    """Those that [train] names, of steps before too."""
    return [step.train.teacher for step in (*recipe.earlier, recipe) if step.train and step.train.teacher]


def teacher_named(name: str, recipe: Recipe) -> Graph:
    """Raises as `load`, Unsupported for a quantized one."""
    teacher = load(name, shapes=recipe.shapes if name.endswith(".onnx") else None)
    if level_of(teacher) == "QUANTIZED":
        raise Unsupported(f"[train] teacher = {name} is quantized: it cannot teach here; name its float "
                          f"model")
    return teacher
