"""What training wins back of what compression costs, and networks with memory, attention and imagination made
smaller (docs/training-benchmark.md).

Every figure is kept in build/benchmark/training/figures.jsonl under the digest of all that shapes it, so that
a rerun resumes. Needs the kit ($EDGE_KIT), but for a quick run. Exits with 3 where a bound of
training_judgement.py is missed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import NamedTuple

from benchmark_peers import ROOT
from figures import (
    DEPLOYING,
    PRUNING,
    TRAINING,
    Conditions,
    Job,
    Kept,
    code,
    conclude,
    digest,
    finished,
    listed,
    processes,
    work,
)
import mnist_networks
import msgspec
from peers_report import own_conditions
from pruning_cells import key_of, later_key, start, trained, tuned
from pruning_deployed import deployed
from pruning_figures import OURS, SHARES, UNPRUNED, Cell, Deployed, Tuned
from pruning_networks import CASES
from training_distillation import TEACHERS, recipe, taught, teacher_of
from training_drawn import TASKS, drawn, grid
from training_drawn import recipe_of as drawn_recipe
from training_figures import ANSWERS, ATTENTION, FITNETS, LABELS, TRANSFORMER, Coded, Drawn, Student, Taught
from training_judgement import shortcomings
from training_qat import EPOCHS, SCHEMES, SEPARABLE, coded
from training_report import page
import typer

FOLDER = ROOT / "build" / "benchmark" / "training"
PAGE, GRID = ROOT / "docs" / "training-benchmark.md", ROOT / "docs" / "generative-mnist.png"
SEEDS = (0, 1, 2)
STUDENTS = ("resnet8", "gru", "ds_cnn", "watch")
WAYS = (LABELS, ANSWERS, FITNETS, ATTENTION)
SMALLER: Mapping[str, Sequence[float]] = {"transformer": (0.5,), "gru": SHARES}
"""Network -> shares of its MACs that it is pruned to; the transformer has no channels for a quarter."""
QUICK_EPOCHS = 2
Measured = Taught | Coded | Drawn | Tuned | Deployed | Conditions
NETWORKS = ("scripts/pruning_networks.py", "scripts/pruning_cells.py", "scripts/cifar_networks.py",
            "scripts/kit_data.py", "docs/examples/har_watch/*.py")
"""Files that shape networks, their samples and how they are trained."""
SCORING = ("toolchain/metric.py", "toolchain/generation.py", "toolchain/features.py",
           "toolchain/examination.py", "toolchain/runtime/*.py")
Keys = list[str]


class Asked(NamedTuple):
    """networks: of those that parts have; all where it is empty"""

    seeds: Sequence[int]
    networks: Sequence[str]
    quick: bool

    def of(self, networks: Iterable[str]) -> list[str]:
        return [network for network in networks if not self.networks or network in self.networks]


def distilled(pool: ProcessPoolExecutor, kept: Kept, asked: Asked) -> Keys:
    """Networks of a quarter of the MACs, taught in several ways."""
    networks, ways = (("watch",), (LABELS, FITNETS)) if asked.quick else (asked.of(STUDENTS), WAYS)
    students = [Student(*which) for which in product(networks, ways, asked.seeds)]
    students += [Student(network, TRANSFORMER, seed) for network, seed in product(networks, asked.seeds)
                 if network in TEACHERS]
    _trained(pool, dict.fromkeys([*networks, *map(teacher_of, students)]))
    return _made(pool, kept, [Job(_student_key(student), taught, (student,)) for student in students])


def _student_key(student: Student) -> str:
    return digest("taught", msgspec.json.encode(student), recipe(student).digest,
                  start(student.network).digest, start(teacher_of(student)).digest,
                  code((*TRAINING, *PRUNING, *NETWORKS, "scripts/training_distillation.py")))


def quantized(pool: ProcessPoolExecutor, kept: Kept, asked: Asked) -> Keys:
    """Networks in codes, trained for them."""
    epochs = {SEPARABLE: QUICK_EPOCHS} if asked.quick else {name: EPOCHS[name] for name in asked.of(EPOCHS)}
    starts = {network: start(network).digest for network in _trained(pool, epochs)}
    shaping = code((*TRAINING, *DEPLOYING, *NETWORKS, "scripts/training_qat.py"))
    return _made(pool, kept, [
        Job(digest("coded", *which, epochs[which[0]], starts.get(which[0]), shaping), coded,
            (*which, epochs[which[0]])) for which in product(epochs, SCHEMES, asked.seeds)])


def smaller(pool: ProcessPoolExecutor, kept: Kept, asked: Asked) -> Keys:
    """Recurrent layers and attention pruned, and as INT8 on the board."""
    networks = [] if asked.quick else asked.of(SMALLER)
    _trained(pool, networks)
    points = {network: ((UNPRUNED, 1.0), *((OURS, share) for share in SMALLER[network]))
              for network in networks}
    cells = [Cell(network, *point, seed) for network in networks
             for point, seed in product(points[network], asked.seeds)]
    tuning = _made(pool, kept, [Job(key_of(cell), tuned, (cell,)) for cell in cells])
    return tuning + _made(pool, kept, [Job(later_key("deployed", cell), deployed, (cell, kept[key_of(cell)]))
                                       for cell in cells])


def drawing(pool: ProcessPoolExecutor, kept: Kept, asked: Asked) -> Keys:
    """A generator and two autoencoders with half of their MACs in INT8."""
    chosen = [] if asked.quick else [*product(asked.of(TASKS), asked.seeds)]
    if chosen:
        list(pool.map(_learned, *zip(("classifier", mnist_networks.SAMPLES_SEED), *chosen)))
    shaping = code((*TRAINING, *PRUNING, *DEPLOYING, *SCORING, "scripts/mnist_networks.py",
                    "scripts/training_drawn.py", "docs/examples/digits/*.py"))
    return _made(pool, kept, [Job(digest("drawn", *which, drawn_recipe(*which).digest, shaping), drawn, which)
                              for which in chosen])


PARTS: Mapping[str, Callable] = {"distillation": distilled, "qat": quantized, "drawing": drawing,
                                 "pruning": smaller}
KNOWN = tuple(dict.fromkeys([*STUDENTS, *EPOCHS, *TASKS, *SMALLER]))


def _trained(pool: ProcessPoolExecutor, networks: Iterable[str]) -> list[str]:
    """Those of CASES, which all are trained now."""
    known = [network for network in networks if network in CASES]
    list(pool.map(trained, known))
    return known


def _learned(network: str, seed: int) -> None:
    mnist_networks.network(network, seed)


def _made(pool: ProcessPoolExecutor, kept: Kept, jobs: list[Job]) -> Keys:
    work(pool, kept, jobs)
    return [job.key for job in jobs]


def main(quick: bool = typer.Option(False, help="what needs no kit, with one seed"),
         only: str = typer.Option("", help=f"of {', '.join(PARTS)}, with commas between them"),
         networks: str = typer.Option("", help="of those that parts have, such as watch,gru"),
         seeds: str = typer.Option("", help="such as 0,1")) -> None:
    """Train, measure; print the page."""
    chosen = [int(seed) for seed in seeds.split(",")] if seeds else [*(SEEDS[:1] if quick else SEEDS)]
    asked, kept = Asked(chosen, listed(networks, KNOWN), quick), Kept(FOLDER / "figures.jsonl", Measured)
    with processes() as pool:
        keys = [key for part in listed(only, PARTS) or PARTS for key in PARTS[part](pool, kept, asked)]
    if not keys:
        raise typer.BadParameter("there is nothing of that to measure")
    found = finished(kept, keys, own_conditions)
    text = page(found)
    if not (quick or only or networks or seeds):
        PAGE.write_text(text, encoding="utf-8")
        grid([figure for figure in found if isinstance(figure, Drawn) and figure.seed == SEEDS[0]], GRID)
    conclude(text, FOLDER / "training.md", shortcomings(found, quick))


if __name__ == "__main__":
    typer.run(main)
