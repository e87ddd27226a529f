"""What `edge bench` and `edge eval` leave beside an artefact, and rows made of it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from toolchain.artifact import ARENA_FILE, MANIFEST, Artifact, Manifest, read_manifest
from toolchain.atomic import replacing, require_place
from toolchain.errors import BadInput
from toolchain.measurement import ArenaMap, Evaluation, Measurement, Row
from toolchain.profile import Format
from toolchain.report.bench import bench_page

PAGE = "bench.c.html"
STALE = "measured before it was built anew; measure again"
RECORD = {Measurement: "measurement", Evaluation: "evaluation"}


def require_place_for_records(folder: Path) -> None:
    """Before anything is measured. Raises BadInput where they could not be kept beside the artefact."""
    if folder.is_dir():
        require_place(folder / PAGE)


def save(folder: Path, fmt: Format, record: Measurement | Evaluation, where: str = "") -> None:
    """Keep the record beside the artefact it is about; a bare model file has no folder to keep it in.

    where: device and way, in a file's name, of one among several ways to run the same file
    """
    if folder.is_dir():
        path = folder / ".".join(filter(None, (RECORD[type(record)], fmt, where, "json")))
        with replacing(path) as unfinished:
            unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def arena_of(artifact: Artifact) -> ArenaMap | None:
    """Of an artefact with generated C that an older toolchain did not write. Raises BadInput."""
    if ARENA_FILE not in artifact.files:
        return None
    try:
        return msgspec.json.decode(artifact.files[ARENA_FILE], type=ArenaMap)
    except msgspec.DecodeError as error:
        raise BadInput(f"{ARENA_FILE}: {error}; build the artefact again") from None


def save_page(folder: Path, measurement: Measurement, arena: ArenaMap | None) -> None:
    """The measurement of generated C on an emulated board as a page beside the artefact."""
    if folder.is_dir():
        with replacing(folder / PAGE) as unfinished:
            unfinished.write_bytes(bench_page(measurement, arena))


def collect(folders: Iterable[Path]) -> list[Row]:
    """One row for each file of each artefact in or below the folders. Raises BadInput where there is none."""
    found = [manifest.parent for folder in folders for manifest in sorted(folder.rglob(MANIFEST))]
    if not found:
        raise BadInput(f"no artefact (a folder with a {MANIFEST}) in {', '.join(map(str, folders))}; "
                       f"make one with `edge build`")
    return [row for folder in found for row in rows_of(folder)]


def rows_of(folder: Path) -> Iterator[Row]:
    """The rows of one artefact: of each file, one for every way in which it was run."""
    manifest = read_manifest(folder)
    for fmt in manifest.formats:
        for where in _places(folder, fmt) or [f"{fmt}.json"]:
            there = [_read(folder / f"{RECORD[kind]}.{where}", kind) for kind in RECORD]
            measurement, evaluation = (record if _is_of(record, manifest) else None for record in there)
            row = make_row(manifest, fmt, measurement, (evaluation,) if evaluation else ())
            stale = [measurement, evaluation] != there
            yield msgspec.structs.replace(row, note=STALE) if stale and not measurement else row


def _is_of(record: Measurement | Evaluation | None, manifest: Manifest) -> bool:
    """Whether it is of this artefact, not of one that was here before. Evaluations once did not say so."""
    return record is not None and record.artifact_digest in ("", manifest.digest)


def _places(folder: Path, fmt: Format) -> list[str]:
    """What the names of a file's records end with."""
    return sorted({path.name.removeprefix(f"{kind}.") for kind in RECORD.values()
                   for path in folder.glob(f"{kind}.{fmt}.*json")})


def make_row(manifest: Manifest, fmt: Format, measurement: Measurement | None,
             quality: tuple[Evaluation, ...]) -> Row:
    """A row of one of an artefact's files. Where files are deployed, the flash is the file; firmware is
    linked when it is built, C for a device with programs when it is run there."""
    linked = manifest.static_bytes["flash"] if manifest.profile and "c" in manifest.profile.formats else None
    size = linked if fmt == "c" else sum(manifest.files[name].bytes for name in manifest.model_files(fmt))
    return Row(model=manifest.name, target=manifest.target, format=fmt, scheme=manifest.scheme,
               size_bytes=manifest.weight_bytes if fmt == "c" else size, flash_bytes=size,
               ram_bytes=manifest.static_bytes.get("ram"), quality=quality, measurement=measurement)


def _read(path: Path, kind: type):
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind) if path.exists() else None
    except msgspec.DecodeError as error:
        raise BadInput(f"{path}: {error}; measure again") from None
