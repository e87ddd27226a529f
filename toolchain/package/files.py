"""A package on disk: a folder, or a .zip that holds one."""

import io
from pathlib import Path
import shutil
import tempfile
import zipfile

from toolchain.atomic import replacing
from toolchain.errors import BadInput
from toolchain.package import MARK
from toolchain.package.sources import Package

EXECUTABLE_BY_NOBODY = 0o644 << 16


def write_package(package: Package, out: Path) -> Path:
    """To `out`: an archive if it ends in .zip, else a folder; whole or not at all.

    Raises BadInput for a folder of other things.
    """
    if out.suffix == ".zip":
        with replacing(out) as unfinished:
            unfinished.write_bytes(zipped(package))
        return out
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file()):
        raise BadInput(f"{out}: there, and no package of ours (no {MARK}); give another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as staging:
        made = Path(staging, "made")
        for name, data in package.files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(data)
        if out.is_dir():
            shutil.move(out, Path(staging, "old"))
        made.rename(out)
    return out


def zipped(package: Package) -> bytes:
    """An archive of one folder, by name and without times: the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in sorted(package.files.items()):
            member = zipfile.ZipInfo(f"{package.name}/{name}")
            member.external_attr, member.compress_type = EXECUTABLE_BY_NOBODY, zipfile.ZIP_DEFLATED
            archive.writestr(member, data, compresslevel=9)
    return buffer.getvalue()
