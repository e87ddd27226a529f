"""A campaign's file, and the jobs that it stands for, each known by its content."""

from collections.abc import Iterator, Mapping
import functools
import hashlib
from pathlib import Path
from typing import Annotated

import msgspec

from toolchain.data.sets import SETS
from toolchain.device.boards import Board, load_boards
from toolchain.device.labgrid import coordinator_of
from toolchain.device.place import resources
from toolchain.errors import BadInput, DeviceUnavailable
from toolchain.ledger.records import tool_versions
from toolchain.profile import Format, Positive, TargetProfile, load_target, target_names
from toolchain.recipe import Recipe, load_recipe
from toolchain.tomlfile import decode_toml

Some = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A trained network. Paths are seen from the campaign's file.

    file:       what `edge build` takes
    data:       samples, as `edge build --data` takes them
    checkpoint: of file.py:function's module
    """

    file: str
    data: str = ""
    checkpoint: str = ""


class MeasureConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is measured of each artefact.

    seconds:  how long latency is sampled
    format:   which of the artefact's files; by default the target's first
    evaluate: split of the data that accuracy is told of; "" for none
    samples:  at most so many of it
    """

    seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 1.0
    threads: Positive = 1
    format: Format | None = None
    evaluate: str = ""
    samples: Positive | None = None


class CampaignFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """campaign.toml: every model by every recipe on every device.

    name:    of the campaign; by default the file's. Under another name all is measured anew
    models:  [models.NAME] tables
    recipes: NAME = "file.toml"; by default one recipe of defaults
    devices: "host", targets that are emulated, and boards of boards.toml
    """

    models: Annotated[dict[str, ModelConfig], msgspec.Meta(min_length=1)]
    devices: Some
    recipes: dict[str, str] = {}
    measure: MeasureConfig = MeasureConfig()
    name: str = ""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One model by one recipe on one device.

    key:       sha256 of all that the result depends on
    build_key: sha256 of all that the artefact depends on
    model, recipe, device: by their names
    source:    as ModelConfig, paths made whole
    board:     None for the host and for emulated targets
    resources: that must be ours while it is measured
    """

    key: str
    build_key: str
    model: str
    recipe: str
    device: str
    source: ModelConfig
    decided: Recipe
    profile: TargetProfile
    board: Board | None
    resources: tuple[str, ...]
    measure: MeasureConfig

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message that is kept may hold: where the device is, and what opens it."""
        board = self.board
        if board is None:
            return ()
        said = {board.address, board.address.rpartition("@")[2], board.host_key, board.identity}
        if board.transport == "labgrid":
            said.add(coordinator_of(board))
        return tuple(sorted(filter(None, said), key=len, reverse=True))

    def __str__(self) -> str:
        return f"{self.model} by {self.recipe} on {self.device}"


class Campaign(msgspec.Struct, frozen=True):
    """A campaign with all of its jobs, no two of them the same."""

    name: str
    jobs: tuple[Job, ...]


def load_campaign(path: Path) -> Campaign:
    """Raises BadConfig, BadInput where a model or samples are missing, DeviceUnavailable for an unknown
    device."""
    wanted = decode_toml(path, CampaignFile)
    sources = {name: _whole(model, path.parent) for name, model in wanted.models.items()}
    recipes = {name: load_recipe(path.parent / file) for name, file in wanted.recipes.items()}
    known = load_boards().boards
    devices = {name: _device(name, known, path) for name in wanted.devices}
    digest = functools.cache(content_digest)
    found = {}
    for model, source in sources.items():
        for recipe, decided in (recipes or {"defaults": Recipe()}).items():
            for device, (profile, board) in devices.items():
                job = _job((model, recipe, device), source, decided, profile, board, wanted.measure, digest)
                found.setdefault(job.key, job)
    return Campaign(wanted.name or path.stem, tuple(found.values()))


def _whole(model: ModelConfig, folder: Path) -> ModelConfig:
    """Its paths, seen from the folder. Samples may be a set's name instead."""
    data = model.data if not model.data or (SETS / model.data).is_dir() else str(folder / model.data)
    checkpoint = str(folder / model.checkpoint) if model.checkpoint else ""
    return ModelConfig(file=str(folder / model.file), data=data, checkpoint=checkpoint)


def _device(name: str, boards: Mapping[str, Board], path: Path) -> tuple[TargetProfile, Board | None]:
    """What a device is. Raises DeviceUnavailable."""
    if name in boards:
        return load_target(boards[name].target), boards[name]
    if name in target_names() and (profile := load_target(name)).transport in ("local", "qemu"):
        return profile, None
    here = [target for target in target_names() if load_target(target).transport in ("local", "qemu")]
    raise DeviceUnavailable(f"{path}: no device '{name}'; boards.toml has {', '.join(boards)}, and without "
                            f"one there are {', '.join(here)}")


def _job(names: tuple[str, str, str], source: ModelConfig, decided: Recipe, profile: TargetProfile,
         board: Board | None, measure: MeasureConfig, digest) -> Job:
    model, recipe, device = names
    facts = msgspec.structs.replace(profile, folder="")
    checkpoint = source.checkpoint or decided.checkpoint
    trains = [step.train for step in (*decided.earlier, decided) if step.train]
    named = [spec for train in trains for spec in (train.teacher, train.loss, train.loader) if spec]
    built_of = [digest(source.file), checkpoint and digest(checkpoint), decided.digest, facts,
                source.data and digest(source.data), *map(digest, named)]
    return Job(key=_sha256([*built_of, device, measure]), build_key=_sha256([*built_of, tool_versions()]),
               model=model, recipe=recipe, device=device, source=source, decided=decided, profile=profile,
               board=board, resources=tuple(resources(profile, device)), measure=measure)


def _sha256(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def content_digest(source: str) -> str:
    """sha256 of a file, of all files of a folder with their names, or of a file and the name of what is meant
    in it (file.py:function). Raises BadInput."""
    path, name = Path(source), ""
    if not path.exists() and ":" in source:
        path, name = Path(source.rpartition(":")[0]), source.rpartition(":")[2]
    named = SETS / path
    path = named if not path.exists() and named.exists() else path
    if not path.exists():
        raise BadInput(f"{source}: no such file or folder")
    return _hashed(path, name)


def _hashed(path: Path, name: str) -> str:
    digest = hashlib.sha256(name.encode())
    for file in _files(path):
        digest.update(f"\0{file.relative_to(path)}\0".encode())
        with open(file, "rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    yield from (path,) if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
