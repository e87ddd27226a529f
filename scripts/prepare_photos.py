"""Make calibration_data/photos/ from photographs in scikit-image's wheel: 64 crops to calibrate, 64 to test.

Crops of one photograph are in one split only. Each is a random square, between half and all of the
photograph's shorter side, scaled to 224 x 224; grey photographs get three equal channels. Without labels:
what such crops can tell is whether two networks agree. Not committed: the photographs are other people's.
"""

from io import BytesIO
from typing import NamedTuple
import zipfile

import numpy as np
from PIL import Image
from sample_set import SPLITS, describe_splits, write_sample_set
from wheels import check_sha256, fetch_wheel

WHEEL = "scikit-image==0.26.0"
SIDE = 224
SEED = 2

class Photo(NamedTuple):
    """A file in skimage/data/, what its crops are for, and its licence as scikit-image states it."""

    file: str
    split: str
    crops: int
    licence: str
    sha256: str


PHOTOS = (
    Photo("astronaut.png", "calibration", 20, "public domain (NASA)",
          "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
    Photo("motorcycle_left.png", "calibration", 20, "none stated (Middlebury 2014 stereo benchmark)",
          "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179"),
    Photo("retina.jpg", "calibration", 8, "CC0 (Wikimedia Commons)",
          "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6"),
    Photo("camera.png", "calibration", 4, "CC0 (Lav Varshney)",
          "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a"),
    Photo("coins.png", "calibration", 4, "no known restrictions (Brooklyn Museum)",
          "f8d773fc9cfa6f4d8e5942dc34d0a0788fcaed2a4fefbbed0aef5398d7ef4cba"),
    Photo("grass.png", "calibration", 4, "CC0 (CC0Textures)",
          "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89"),
    Photo("hubble_deep_field.jpg", "calibration", 4, "public domain (NASA)",
          "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4"),
    Photo("chelsea.png", "test", 20, "CC0 (Stefan van der Walt)",
          "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
    Photo("coffee.png", "test", 20, "CC0 (Rachel Michetti)",
          "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
    Photo("rocket.jpg", "test", 16, "public domain (SpaceX)",
          "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c"),
    Photo("brick.png", "test", 8, "CC0 (CC0Textures)",
          "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf"),
)


def crops(image: Image.Image, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """`count` random squares of the image, each (224, 224, 3) uint8, every other one mirrored."""
    image = image.convert("RGB")
    squares = [random_square(image, rng) for _ in range(count)]
    return [square[:, ::-1] if i % 2 else square for i, square in enumerate(squares)]


def random_square(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    side = int(min(image.size) * rng.uniform(0.5, 1.0))
    left, top = (int(rng.integers(0, extent - side + 1)) for extent in image.size)
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box))


def cut_photos() -> dict[str, np.ndarray]:
    """x (128, 224, 224, 3) uint8, split and photo (128,)."""
    rng = np.random.default_rng(SEED)
    with zipfile.ZipFile(fetch_wheel(WHEEL)) as wheel:
        files = [check_sha256(wheel.read(f"skimage/data/{p.file}"), p.sha256, p.file) for p in PHOTOS]
    x = [crops(Image.open(BytesIO(f)), photo.crops, rng) for photo, f in zip(PHOTOS, files, strict=True)]
    counts = [photo.crops for photo in PHOTOS]
    split = np.array([SPLITS.index(photo.split) for photo in PHOTOS], np.uint8)
    return {"x": np.concatenate(x), "split": np.repeat(split, counts),
            "photo": np.repeat(np.arange(len(PHOTOS), dtype=np.uint8), counts)}


def main() -> None:
    arrays = cut_photos()
    path = write_sample_set("photos", arrays, {
        "source": f"skimage/data/ in the wheel of {WHEEL}",
        "licence": "one per photograph, see [groups]",
        "task": "unlabelled",
        "layout": "channels_last",
        "channels": ["red", "green", "blue"],
        "units": ["0..255"] * 3,
        "preparation": f"random square crops, scaled to {SIDE} x {SIDE} (bicubic), every other one mirrored",
        "preprocessing": {"mean": 127.0, "scale": 128.0},
        "split": {"names": list(SPLITS), "by": "photo"},
        "groups": {str(number): f"{photo.file}: {photo.licence}" for number, photo in enumerate(PHOTOS)},
    })
    print(f"{path}: {describe_splits(arrays)}")


if __name__ == "__main__":
    main()
