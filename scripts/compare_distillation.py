"""What a teacher gives beyond labels: top-1 of the watch network's students, by what they are taught.

    PYTHONPATH=. python scripts/compare_distillation.py [--seeds 3] [--epochs 16] [--only tenth]

Students: the network pruned to a quarter and to a tenth of its multiply-accumulates, and one of half its
width that knows nothing yet. All see the same augmented batches of the train split, as many of them; "few"
is the quarter again, of the calibration samples alone, without labels. They are tested on people that nobody
was trained on. Gains on the first way are paired by sample, with 95 % intervals of the mean.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolchain.data import Samples, load_samples
from toolchain.ir.graph import Graph
from toolchain.load import load
from toolchain.metric import top1_hits
from toolchain.paired import bootstrap
from toolchain.recipe import PruneConfig, Recipe, TrainConfig
from toolchain.runtime.torch_module import fixed_threads
from toolchain.shrinking import Shrinking
from toolchain.train.distill import Teacher, tensors
from toolchain.train.fit import fit

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "examples" / "har_watch"
BLOCKS = tuple(f"blocks.{number}.relu.1" for number in range(3))
WAYS: Mapping[str, Mapping] = {
    "labels": {"alpha": 0.0},
    "labels, answers": {},
    "answers": {"alpha": 1.0},
    "labels, answers, fitnets": {"features": BLOCKS},
    "labels, answers, attention": {"features": BLOCKS, "transfer": "attention"},
    "answers, fitnets": {"alpha": 1.0, "features": BLOCKS},
}
"""What is learned -> keys of [train]."""


def pruned(teacher: Graph, samples: Samples, macs: float) -> Graph:
    return Shrinking(teacher, Recipe(prune=PruneConfig(macs=macs)), samples).run()


LOADER = {"loader": f"{FOLDER / 'student.py'}:turned"}
STUDENTS: Mapping[str, tuple[Callable[[Graph, Samples], Graph], Mapping]] = {
    "quarter": (lambda teacher, samples: pruned(teacher, samples, 0.25), LOADER),
    "tenth": (lambda teacher, samples: pruned(teacher, samples, 0.1), LOADER),
    "narrow": (lambda teacher, samples: load(f"{FOLDER / 'student.py'}:narrow"),
               {"learning_rate": 3e-3, "warm_up": 0.3, "weight_decay": 0.05, **LOADER}),
    "few": (lambda teacher, samples: pruned(teacher, samples.split("calibration"), 0.25), {"batch_size": 32})}
"""Name -> how it is made, its keys of [train]."""


def unlabelled(samples: Samples) -> Samples:
    return replace(samples.split("calibration"), y=None)


@fixed_threads()
def hits(graph: Graph, samples: Samples) -> np.ndarray:
    """(n,) 1 where the test sample's class is found."""
    test = samples.split("test").fit_to(graph)
    (answers,) = Teacher(graph).outputs(tensors(test.feeds(slice(None))))
    return top1_hits(answers.numpy(), test.y)


def compare(name: str, teacher: Graph, samples: Samples, epochs: int, seeds: int) -> None:
    """Print a row for each way."""
    make, keys = STUDENTS[name]
    student = make(teacher, samples)
    train = samples.split("train") if "loader" in keys else unlabelled(samples)
    train, plain = train.fit_to(student), None
    for way, asked in WAYS.items():
        if train.y is None and "labels" in way:
            continue
        config = TrainConfig(epochs=epochs, **keys, **asked)
        found = np.stack([hits(fit(student, config, train, teacher, seed), samples) for seed in range(seeds)])
        plain = found if plain is None else plain
        gain, each = bootstrap(100 * (found - plain).mean(0)), 100 * found.mean(1)
        print(f"| {name} | {way} | {each.mean():.2f} | {' '.join(f'{one:.1f}' for one in each)} "
              f"| {gain.mean:+.2f} | {gain.low:+.2f} to {gain.high:+.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--only", default=",".join(STUDENTS))
    wanted = parser.parse_args()
    teacher, samples = load(f"{FOLDER / 'model.py'}:trained"), load_samples("har_watch")
    print(f"teacher: {100 * hits(teacher, samples).mean():.2f}\n\n"
          "| student | learns from | top-1, % | by seed | gain | interval |\n|---|---|---|---|---|---|",
          flush=True)
    for name in wanted.only.split(","):
        compare(name, teacher, samples, wanted.epochs, wanted.seeds)


if __name__ == "__main__":
    main()
