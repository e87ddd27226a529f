"""Make calibration_data/digits/ from the data set inside the wheel of scikit-learn 1.9.1.

1,797 handwritten digits of 43 people, 8 x 8 pixels of 17 shades of gray: the test part of UCI's "Optical
Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998, doi 10.24432/C50P49). The people are not told, so
every digit is for itself when they are split.
"""

import gzip
from io import BytesIO
import zipfile

import numpy as np
from sample_set import SPLITS, describe_splits, write_sample_set
from wheels import check_sha256, fetch_wheel

WHEEL = "scikit-learn==1.9.1"
TABLE = "sklearn/datasets/data/digits.csv.gz"
SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"  # of the table, in every wheel
SHARES = {"calibration": 100, "selection": 250, "test": 500}  # the rest is for training
SEED = 0
NOTICE = """\
Alpaydin, E. & Kaynak, C. (1998). Optical Recognition of Handwritten Digits.
UCI Machine Learning Repository. https://doi.org/10.24432/C50P49.
Creative Commons Attribution 4.0 International (CC BY 4.0).
"""


def read_digits(table: bytes) -> dict[str, np.ndarray]:
    """x (1797, 8, 8, 1) uint8 in 0..16, y (1797,) int64, of a gzipped CSV: 64 pixels and a label a row."""
    rows = np.loadtxt(BytesIO(gzip.decompress(table)), delimiter=",", dtype=np.uint8)
    return {"x": rows[:, :-1].reshape(-1, 8, 8, 1), "y": rows[:, -1].astype(np.int64)}


def with_splits(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """With `split` and `digit`, the row, which is what is split by. Seeded."""
    count = len(arrays["y"])
    split = np.full(count, SPLITS.index("train"), np.uint8)
    order, start = np.random.default_rng(SEED).permutation(count), 0
    for name, size in SHARES.items():
        split[order[start:start + size]] = SPLITS.index(name)
        start += size
    return {**arrays, "split": split, "digit": np.arange(count, dtype=np.uint16)}


def main() -> None:
    with zipfile.ZipFile(fetch_wheel(WHEEL)) as archive:
        table = check_sha256(archive.read(TABLE), SHA256, TABLE)
    arrays = with_splits(read_digits(table))
    path = write_sample_set("digits", arrays, {
        "source": f"{TABLE} (sha256 {SHA256}) in the wheels of {WHEEL}; doi 10.24432/C50P49",
        "licence": "CC-BY-4.0",
        "notice": NOTICE,
        "task": "classification",
        "layout": "channels_last",
        "channels": ["gray"],
        "units": ["sixteenths of full ink"],
        "classes": [str(digit) for digit in range(10)],
        "preparation": "the table's rows as they are; split at random, every digit for itself",
        "preprocessing": {"mean": 0.0, "scale": 16.0},
        "split": {"names": list(SPLITS), "by": "digit"},
    })
    print(f"{path}: {describe_splits(arrays)}")


if __name__ == "__main__":
    main()
