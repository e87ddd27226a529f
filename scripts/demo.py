"""The main job on real input: two networks, every target, one table.

har_watch: a 1-D network on wrist-sensor windows; pruned, fine-tuned, calibrated, quantized; judged by top-1
on people that it never saw. efficientnet_lite0: published ImageNet weights, quantized, judged by how often
it names the same class as the float network on held-out crops. Writes build/demo/report.json and report.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
import sys

import msgspec
from msgspec.structs import replace
import numpy as np

from toolchain import deploy
from toolchain.artifact import Artifact
from toolchain.cost_table import load_cost_table
from toolchain.data import Samples, load_samples
from toolchain.errors import DoesNotFit
from toolchain.examination import answers
from toolchain.load import load
from toolchain.measurement import Evaluation, Measurement, Row
from toolchain.metric import score
from toolchain.pipeline import Prepared, build, prepare
from toolchain.profile import TargetProfile, load_target, target_names
from toolchain.recipe import QuantSpec, Recipe, load_recipe
from toolchain.report.console import print_out
from toolchain.report.records import make_row, save
from toolchain.report.tables import make_report, markdown, terminal

OUT = Path("build/demo")
EXAMPLES = Path("docs/examples")


@dataclass(frozen=True)
class Job:
    """A network, the samples that go with it, and how its artefacts are judged."""

    name: str
    model: str
    data: str
    metric: str


JOBS = (Job("har_watch", "har_watch/model.py:trained", "har_watch", "top1"),
        Job("efficientnet_lite0", "efficientnet_lite0/model.py:pretrained", "photos", "agreement"))

ON_EVERY_SAMPLE, ON_OTHERS = "cortex_m4_qemu", 100
"""The emulated board that is judged by every sample, and by how many the others are, which give the same
codes: each is an exchange of some 0.1 s."""

MEASURED: dict[bytes, tuple[Measurement, Evaluation]] = {}


def say(message: str) -> None:
    print(f"demo: {message}", file=sys.stderr, flush=True)


def rows_of(job: Job) -> Iterator[Row]:
    """Build, measure and judge one network on every target, after its float form as the baseline."""
    recipe = load_recipe(EXAMPLES / job.name / "recipe.toml")
    samples = load_samples(job.data)
    graph = load(EXAMPLES / job.model)
    test = samples.split("test")
    untouched = Recipe(metric=recipe.metric, quantize=QuantSpec(scheme="float32"))
    baseline = build(prepare(graph, untouched, None), load_target("host"), samples)
    truth = test.y if job.metric == "top1" else outputs_of(baseline, "onnx", test)
    yield from measured(job, baseline, load_target("host"), test, truth, OUT / job.name / "float32")
    prepared: dict[tuple, Prepared] = {}
    for profile in map(load_target, target_names()):
        key = pruned_for(profile) if recipe.prune else ()
        if key not in prepared:
            prepared[key] = prepare(graph, recipe, samples, profile, say)
        try:
            artifact = build(prepared[key], profile, samples, say)
        except DoesNotFit as error:
            shortfall = str(error).split(". ")[0].split("; ")[0]
            yield Row(model=job.name, target=profile.name, format=profile.formats[0],
                      note=f"does not fit: {shortfall}")
            continue
        yield from measured(job, artifact, profile, test, truth, OUT / job.name / profile.name)


def pruned_for(profile: TargetProfile) -> tuple:
    """What of a target decides which channels go: targets that agree in it share a network."""
    return (profile.name,) if load_cost_table(profile) else tuple(sorted(profile.channel_multiple.items()))


def measured(job: Job, artifact: Artifact, profile: TargetProfile, test: Samples, truth: np.ndarray,
             folder: Path) -> Iterator[Row]:
    """Write the artefact, deploy each of its files, and give a row for each."""
    artifact.write(folder)
    artifact = deploy.open_artifact(folder)
    for fmt in profile.formats:
        measurement, quality = figures(job, artifact, profile, fmt, test, truth)
        save(folder, fmt, measurement)
        save(folder, fmt, quality)
        yield make_row(artifact.manifest, fmt, measurement, (quality,))


def figures(job: Job, artifact: Artifact, profile: TargetProfile, fmt: str, test: Samples,
            truth: np.ndarray) -> tuple[Measurement, Evaluation]:
    """Measure and judge one file. Targets that get the same bytes are run on this host once."""
    key = sha256(artifact.model(fmt)).digest()
    if not profile.emulated and key in MEASURED:
        measurement, quality = MEASURED[key]
        return replace(measurement, target=profile.name), quality
    say(f"measuring {job.name} for {profile.name}, {fmt}")
    outcome, = deploy.bench(artifact, None, deploy.Wish(fmt, seconds=0.5))
    measurement = outcome.measurement
    if profile.emulated and profile.name != ON_EVERY_SAMPLE:
        step = -(-len(test) // ON_OTHERS)
        test, truth = test.pick(np.arange(0, len(test), step)), truth[::step]
    found = score(job.metric, outputs_of(artifact, fmt, test), truth)
    quality = Evaluation(
        metric=found.metric, value=found.value, n=found.n, standard_error=found.standard_error, data=job.data,
        split="test", device=measurement.device, runtime=measurement.runtime)
    MEASURED[key] = measurement, quality
    return measurement, quality


def outputs_of(artifact: Artifact, fmt: str, samples: Samples) -> np.ndarray:
    """What the artefact answers where its target runs."""
    with deploy.deployed(artifact, None, fmt) as session:
        return answers(artifact, fmt, session, samples)


def main() -> None:
    report = make_report([row for job in JOBS for row in rows_of(job)])
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    (OUT / "report.md").write_text(markdown(report), encoding="utf-8")
    print_out(terminal(report))
    print(f"{OUT}/report.json, {OUT}/report.md")


if __name__ == "__main__":
    main()
