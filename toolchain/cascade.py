"""`edge cascade`: two models, a small one first and a large one where that is not sure, as one artefact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from toolchain.adaptive.cascade import cascade_stages
from toolchain.adaptive.report import OnDevice
from toolchain.artifact import Artifact
from toolchain.atomic import replacing
from toolchain.chain import run_chain
from toolchain.chain_building import Stages
from toolchain.chaining import Goal, Made, make_chain
from toolchain.data import Samples, load_samples
from toolchain.deploy import deployed
from toolchain.device.qemu import QemuSession
from toolchain.errors import BadConfig, Unsupported
from toolchain.examination import sample_feeds
from toolchain.load import load
from toolchain.load.absorb import integers_for
from toolchain.lower import Asked, require_known_kinds, with_files
from toolchain.pipeline import Prepared, prepare, samples_for
from toolchain.port import convert
from toolchain.profile import Format, TargetProfile
from toolchain.recipe import Recipe
from toolchain.tomlfile import encode_toml

Say = Callable[[str], None]
CHECK_FILE = "chain_check.json"
SHARED = ("streaming", "metric", "input", "c", "tflite")
"""Keys of a recipe that are of the artefact: all recipes say the same."""


@dataclass(frozen=True)
class Subject:
    """small, large: models as `edge build` takes them, and what is wanted of each"""

    small: str
    large: str
    recipe_small: Recipe
    recipe_large: Recipe
    profile: TargetProfile
    data: str


def build_cascade(subject: Subject, goal: Goal, say: Say = lambda message: None) -> Made:
    """Prepare both models, choose when the small one answers, and lower them as one.

    Raises what `edge build` raises of either, BadInput where they are not of one task, GateFailed where no
    threshold meets the goal.
    """
    require_known_kinds(subject.profile)
    require_same((subject.recipe_small, subject.recipe_large), "a cascade")
    samples = load_samples(subject.data)
    small, large = (prepared_for(model, recipe, subject.profile, samples, say) for model, recipe in
                    ((subject.small, subject.recipe_small), (subject.large, subject.recipe_large)))
    return cascade_of(small, large, samples, subject.profile, goal, say)


def cascade_of(small: Prepared, large: Prepared, samples: Samples, profile: TargetProfile, goal: Goal,
               say: Say = lambda message: None) -> Made:
    """As `build_cascade`, of models that are prepared."""
    recipe, graphs = large.recipe, cascade_stages([small.graph, large.graph])
    stages = Stages(f"{large.graph.name}_cascade", graphs, large.graph,
                    samples_for(small.graph, recipe, samples), profile, asked_by(recipe), say)
    made = make_chain(stages, goal)
    return made._replace(artifact=stated(made.artifact, {"small": small.recipe, "large": recipe}))


def asked_by(recipe: Recipe) -> Asked:
    """What a recipe says of a chain's files."""
    return Asked(recipe.input_dtype, recipe.quantize.float_weights or "float32", recipe.c, recipe.tflite)


def stated(artifact: Artifact, recipes: Mapping[str, Recipe]) -> Artifact:
    """The artefact of a chain with the recipes that lead to it, by what they are called, and what goes in."""
    takes_frames = any(recipe.input.takes_frames for recipe in recipes.values())
    manifest = msgspec.structs.replace(artifact.manifest, takes_frames=takes_frames)
    files = {f"recipe_{name}.toml": encode_toml(recipe.portable).encode() for name, recipe in recipes.items()}
    return with_files(replace(artifact, manifest=manifest), files, {})


def require_same(recipes: Sequence[Recipe], what: str) -> None:
    """Raises BadConfig, Unsupported for what a chain cannot be. what: it is called"""
    if differ := [key for key in SHARED if any(getattr(recipe, key) != getattr(recipes[0], key)
                                               for recipe in recipes)]:
        raise BadConfig(f"the recipes of {what} differ in {', '.join(differ)}, which is of the "
                        "artefact as a whole; say the same in all")
    if any(recipe.widths for recipe in recipes):
        raise BadConfig(f"{what}: [widths] makes levels of one network by itself, of which the widest alone "
                        "would be taken here; leave it out, or use `edge build`")
    if recipes[0].streaming or recipes[0].metric != "top1":
        raise Unsupported(f'{what}: a network is sure, and right, of a class; streaming = true, and other '
                          'metrics than "top1", are of other networks')


def prepared_for(model: str, recipe: Recipe, profile: TargetProfile, samples: Samples, say: Say) -> Prepared:
    """As `prepare`, of a model as `edge build` takes it."""
    say(f"loading {model}")
    graph = integers_for(load(model, shapes=recipe.shapes, checkpoint=recipe.checkpoint), profile.formats)
    return prepare(graph, recipe, samples, profile, say)


def checked(made: Made, data: str, device: str | None, limit: int,
            say: Say = lambda message: None) -> OnDevice:
    """What a device does with at most so many test samples, beside the host's reference.

    Raises DeviceUnavailable and its kinds.
    """
    test = load_samples(data).split("test").take(limit)
    say(f"answering {len(test)} test samples on {device or made.artifact.manifest.target}")
    return on_device(made, test, device)


def on_device(made: Made, samples: Samples, device: str | None = None) -> OnDevice:
    """What a device does with samples, as `edge eval` takes them."""
    (artifact, chain, _), paths, logits, instructions = made, [], [], []
    fmt, level = artifact.manifest.formats[0], artifact.manifest.chain.level
    with deployed(artifact, device) as session:
        for feeds in sample_feeds(artifact, fmt, samples, session.at_once):
            found, expected = session.run(feeds), run_chain(chain, _codes(artifact, fmt, feeds),
                                                                level)
            same = {name: (found[name] == values).reshape(len(values), -1).all(axis=1)
                    for name, values in expected.items()}
            paths.append(same[chain.path.name])
            logits.append(np.all([*same.values()], axis=0))
            instructions += session.instructions if isinstance(session, QemuSession) else []
    same_path, same_logits = (float(np.concatenate(found).mean()) for found in (paths, logits))
    counted = {"mean": float(np.mean(instructions)), "most": max(instructions)} if instructions else {}
    return OnDevice(device=device or artifact.manifest.target, runtime=session.runtime, n=len(samples),
                    same_path=same_path, same_logits=same_logits, artifact_digest=artifact.digest, **counted)


def _codes(artifact: Artifact, fmt: Format, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a file is fed, as the chain's graphs take it."""
    ports = artifact.manifest.inputs
    return {want.name: convert(feeds[have.name], have, want)
            for have, want in zip(ports[fmt], ports["graph"], strict=True)}


def save_check(folder: Path, found: OnDevice | Sequence[OnDevice], name: str = CHECK_FILE) -> None:
    """Keep it beside the artefact that it is of."""
    with replacing(folder / name) as unfinished:
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
