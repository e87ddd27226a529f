"""Make calibration_data/har_watch/ from the data set inside the wheel of seglearn 1.2.5 (BSD-3-Clause).

140 recordings of 10 people doing 7 shoulder exercises, a watch on the wrist, 6 axes at 50 Hz
(Burns et al. 2018, arXiv 1802.01489). Cut into windows of 2 s, split by person.
"""

from io import BytesIO
import pickle
import zipfile

import numpy as np
from numpy._core.multiarray import _reconstruct
from sample_set import SPLITS, describe_splits, write_sample_set
from wheels import check_sha256, fetch_wheel

WHEEL = "seglearn==1.2.5"
SHA256 = "ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd"
LICENCE = "seglearn-1.2.5.dist-info/LICENSE"
RECORDINGS = "seglearn/data/watch_dataset.npy"

WINDOW = 100  # samples: 2 s at 50 Hz
STEP = {"train": 50, "calibration": 100, "selection": 100, "test": 100}  # only training windows overlap
SUBJECTS = {"train": (1, 2, 3, 4, 5), "calibration": (6,), "selection": (7,), "test": (8, 9, 10)}


def latin1(text: str, encoding: str) -> bytes:
    """Protocol 2 spells bytes as _codecs.encode(text, "latin1")."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in encoding {encoding!r}; only latin1 is read")
    return text.encode("latin1")


class ArraysOnly(pickle.Unpickler):
    """Rebuilds numpy arrays and plain containers; any other name is an error, so nothing is run."""

    ALLOWED = {("numpy.core.multiarray", "_reconstruct"): _reconstruct, ("numpy", "ndarray"): np.ndarray,
               ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): latin1}

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{RECORDINGS} asks for {module}.{name}, which is not an array")
        return self.ALLOWED[module, name]


def read_recordings(npy: bytes) -> dict:
    """seglearn's dict: X 140 float64 arrays (T, 6), y, subject, side (140,), X_labels, y_labels."""
    stream = BytesIO(npy)
    np.lib.format.read_magic(stream)
    np.lib.format.read_array_header_1_0(stream)
    return ArraysOnly(stream).load().item()


def cut_windows(recordings: dict) -> dict[str, np.ndarray]:
    """All whole windows, in the order of the recordings: x (N, 100, 6) float16, y, split, subject (N,)."""
    rows = []
    for signal, label, subject in zip(recordings["X"], recordings["y"], recordings["subject"], strict=True):
        split = next(name for name, people in SUBJECTS.items() if subject in people)
        starts = range(0, len(signal) - WINDOW + 1, STEP[split])
        rows += [(signal[t:t + WINDOW], label, SPLITS.index(split), subject) for t in starts]
    x, y, split, subject = zip(*rows, strict=True)
    return {"x": np.array(x, np.float16), "y": np.array(y, np.int64),
            "split": np.array(split, np.uint8), "subject": np.array(subject, np.uint8)}


def main() -> None:
    wheel = check_sha256(fetch_wheel(WHEEL).read_bytes(), SHA256, WHEEL)
    with zipfile.ZipFile(BytesIO(wheel)) as archive:
        recordings = read_recordings(archive.read(RECORDINGS))
        licence = archive.read(LICENCE).decode()
    arrays = cut_windows(recordings)
    path = write_sample_set("har_watch", arrays, {
        "source": f"{RECORDINGS} in the wheel of {WHEEL} (sha256 {SHA256}); arXiv 1802.01489",
        "licence": "BSD-3-Clause",
        "notice": licence,
        "task": "classification",
        "layout": "channels_last",
        "channels": recordings["X_labels"],
        "units": ["g"] * 3 + ["rad/s"] * 3,
        "classes": recordings["y_labels"],
        "preparation": "windows of 100 samples (2 s at 50 Hz), one every 50 samples in train, every 100 "
                       "(no overlap) elsewhere; float64 rounded to float16",
        "preprocessing": {"mean": 0.0, "scale": 1.0},
        "split": {"names": list(SPLITS), "by": "subject"},
    })
    print(f"{path}: {describe_splits(arrays)}")


if __name__ == "__main__":
    main()
