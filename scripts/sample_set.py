"""Write a sample set in the format of calibration_data/README.md: the same arrays give the same bytes."""

from collections.abc import Mapping
import hashlib
import io
import json
from pathlib import Path
import zipfile

import numpy as np

ROOT = Path(__file__).resolve().parent.parent / "calibration_data"
SPLITS = ("train", "calibration", "selection", "test")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can state: no clock in the bytes


def write_sample_set(name: str, arrays: Mapping[str, np.ndarray], manifest: Mapping) -> Path:
    """Write samples.npz and manifest.toml into calibration_data/<name>/; the manifest last. Returns its path.

    manifest: the keys of calibration_data/README.md but `name`, `file` and `sha256`; tables are mappings.
    """
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    data = npz_bytes(arrays)
    (folder / "samples.npz").write_bytes(data)
    stated = {"name": name, **manifest, "file": "samples.npz", "sha256": hashlib.sha256(data).hexdigest()}
    path = folder / "manifest.toml"
    path.write_text(toml(stated), encoding="utf-8")
    return path


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The arrays as a compressed .npz without pickles and without time stamps."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for key, array in arrays.items():
            one = io.BytesIO()
            np.lib.format.write_array(one, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy", EPOCH), one.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def describe_splits(arrays: Mapping[str, np.ndarray]) -> str:
    """How many samples each split has, in words."""
    counts = np.bincount(arrays["split"], minlength=len(SPLITS))
    return ", ".join(f"{count} {name}" for name, count in zip(SPLITS, counts, strict=True))


def toml(manifest: Mapping) -> str:
    """Plain keys first, then one table per nested mapping."""
    plain = [f"{key} = {toml_value(v)}" for key, v in manifest.items() if not isinstance(v, Mapping)]
    tables = [f"\n[{key}]\n" + "\n".join(f"{k} = {toml_value(v)}" for k, v in table.items())
              for key, table in manifest.items() if isinstance(table, Mapping)]
    return "\n".join(plain + tables) + "\n"


def toml_value(value: str | float | list) -> str:
    """A literal block for text of several lines; all else is written as in JSON."""
    if isinstance(value, str) and "\n" in value:
        return f"'''\n{value}'''"
    return json.dumps(value, ensure_ascii=False)
