"""What benchmark_training.py measures of distillation: networks pruned to a quarter of their MACs, for each
seed alike, and then trained in several ways by the same number of the same batches."""

from collections.abc import Mapping

from figures import packed
import msgspec
from pruning_cells import hits, recipe_of, samples_of, start
from pruning_networks import CASES
from training_figures import ANSWERS, ATTENTION, FITNETS, LABELS, TRANSFORMER, Student, Taught

from toolchain.ir.ops import graph_macs
from toolchain.recipe import PruneConfig, Recipe
from toolchain.shrinking import Shrinking
from toolchain.train.fit import fit

SHARE = 0.25
FEATURES: Mapping[str, tuple[str, ...]] = {
    "watch": ("blocks.0.relu.1", "blocks.1.relu.1", "blocks.2.relu.1"),
    "resnet8": ("1.blocks.0.relu.1", "1.blocks.1.relu.1", "1.blocks.2.relu.1"),
    "ds_cnn": ("6.2", "8.2", "10.2", "12.2"),
    "gru": ("layer.gru.sequence",),
}
"""Network -> activations that are taught: what each of its stages gives."""
TEACHERS: Mapping[str, str] = {"ds_cnn": "transformer", "gru": "transformer"}
"""Network -> another one of the same task that knows more."""


def keys(student: Student) -> dict:
    """Of [train], beside those that all share."""
    if student.way == TRANSFORMER:
        return {"teacher": CASES[TEACHERS[student.network]].source}
    features = FEATURES[student.network]
    return {LABELS: {"alpha": 0.0}, ANSWERS: {}, FITNETS: {"features": features},
            ATTENTION: {"features": features, "transfer": "attention"}}[student.way]


def teacher_of(student: Student) -> str:
    return TEACHERS[student.network] if student.way == TRANSFORMER else student.network


def recipe(student: Student) -> Recipe:
    """Pruning by the defaults, and the training that benchmark_pruning.py gives this network."""
    train = recipe_of(student.cell).train
    return Recipe(prune=PruneConfig(macs=SHARE), train=msgspec.structs.replace(train, **keys(student)),
                  seed=student.seed)


def taught(student: Student, key: str) -> Taught:
    """Prune, train, answer the test samples."""
    cell, source, teacher = student.cell, start(student.network), start(teacher_of(student))
    samples, asked = samples_of(student.network, student.seed), recipe(student)
    pruned = Shrinking(source, Recipe(prune=asked.prune, seed=asked.seed), samples).run()
    graph = fit(pruned, asked.train, samples.split("train").fit_to(pruned), teacher, student.seed)
    right = hits(graph, cell, "test")
    return Taught(key=key, student=student, macs=(graph_macs(source), graph_macs(graph)),
                  teacher=packed(hits(teacher, cell, "test")), hits=packed(right), n=len(right))
