"""A folder of images: decoded when asked for, resized and cropped as published evaluations do."""

import numpy as np
from PIL import Image
import pytest

from toolchain.data import load_samples
from toolchain.data.images import decoded
from toolchain.data.manifest import FilePreprocessing
from toolchain.errors import BadConfig, BadSamples
from toolchain.ir.build import Builder


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colours, so that resizing is not about noise."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def write(folder, *names, size=(40, 60)):
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(*size, seed)).save(path)
    return folder


def graph_taking(*shape):
    builder = Builder("net")
    builder.input("image", (1, *shape))
    return builder.graph("image")


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp"])
def test_lossless_images_come_as_they_are(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(picture(40, 60)).save(path, **({"lossless": True} if suffix == "webp" else {}))
    samples = load_samples(tmp_path)
    assert samples.x["x"].dtype == np.uint8 and samples.channels == ("red", "green", "blue")
    assert np.array_equal(samples.x["x"][0], picture(40, 60))


def test_folders_are_classes_and_splits(tmp_path):
    write(tmp_path, "train/dog/b.png", "train/cat/a.png", "calibration/dog/c.jpg", "test/cat/d.jpeg")
    samples = load_samples(tmp_path)
    assert samples.classes == ("cat", "dog") and samples.y.tolist() == [1, 0, 0, 1]
    assert samples.split("train").y.tolist() == [0, 1]
    assert samples.files[0] == "calibration/dog/c.jpg" and samples.called(0) == "0 (calibration/dog/c.jpg)"


def test_classes_keep_the_order_that_the_manifest_gives(tmp_path):
    write(tmp_path, "dog/b.png", "cat/a.png")
    (tmp_path / "manifest.toml").write_text('kind = "images"\nclasses = ["dog", "bird", "cat"]')
    assert load_samples(tmp_path).y.tolist() == [2, 0]
    (tmp_path / "manifest.toml").write_text('kind = "images"\nclasses = ["dog"]')
    with pytest.raises(BadConfig, match=r"manifest.toml: 'cat' is none of its classes \(dog\); add it"):
        load_samples(tmp_path)


@pytest.mark.parametrize("height, width", [(300, 400), (401, 299), (256, 256)])
def test_resize_and_crop_are_torchvision_s(tmp_path, height, width):
    """Resize(256), CenterCrop(224) of a PIL image, as torchvision's source computes sizes and corners."""
    Image.fromarray(picture(height, width)).save(tmp_path / "a.png")
    steps = FilePreprocessing(resize=256, crop=224)
    size = (256, int(256 * height / width)) if width <= height else (int(256 * width / height), 256)
    image = Image.open(tmp_path / "a.png").resize(size, Image.Resampling.BILINEAR)
    top, left = int(round((size[1] - 224) / 2)), int(round((size[0] - 224) / 2))
    expected = np.asarray(image)[top:top + 224, left:left + 224]
    assert np.array_equal(decoded(tmp_path / "a.png", steps), expected)


@pytest.mark.parametrize("height, width", [(300, 400), (401, 299)])
def test_the_padded_crop_is_efficientnet_s(tmp_path, height, width):
    """preprocessing.py of google/automl's EfficientNet: _decode_and_center_crop with CROP_PADDING 32."""
    Image.fromarray(picture(height, width)).save(tmp_path / "a.png")
    side = int((224 / (224 + 32)) * min(height, width))
    top, left = ((height - side) + 1) // 2, ((width - side) + 1) // 2
    middle = Image.fromarray(picture(height, width)[top:top + side, left:left + side])
    expected = np.asarray(middle.resize((224, 224), Image.Resampling.BICUBIC))
    steps = FilePreprocessing(crop=224, crop_padding=32, method="bicubic")
    assert np.array_equal(decoded(tmp_path / "a.png", steps), expected)


def test_colours_and_layout(tmp_path):
    Image.fromarray(picture(8, 9)).save(tmp_path / "a.png")
    rgb = picture(8, 9)
    assert np.array_equal(decoded(tmp_path / "a.png", FilePreprocessing(colour="bgr")), rgb[..., ::-1])
    assert np.array_equal(decoded(tmp_path / "a.png", FilePreprocessing(layout="channels_first")),
                          rgb.transpose(2, 0, 1))
    gray = decoded(tmp_path / "a.png", FilePreprocessing(colour="gray"))
    luma = rgb @ [0.299, 0.587, 0.114]  # ITU-R 601-2, Pillow's convert("L")
    assert gray.shape == (8, 9, 1) and np.abs(gray[..., 0] - luma).max() <= 1


def test_what_the_network_sees_is_normalised(tmp_path):
    write(tmp_path, "a.png", "b.png")
    (tmp_path / "manifest.toml").write_text(
        'kind = "images"\n[preprocessing]\nresize = [12, 10]\nmean = [1.0, 2.0, 3.0]\nscale = 2.0')
    samples = load_samples(tmp_path).fit_to(graph_taking(12, 10, 3))
    expected = (np.float32(samples.x["image"][1]) - [1, 2, 3]) / 2
    assert np.allclose(samples.feeds(slice(1, 2))["image"][0], expected)


def test_sizes_that_do_not_fit_say_what_to_write(tmp_path):
    with pytest.raises(BadSamples) as caught:
        load_samples(write(tmp_path, "a.png")).fit_to(graph_taking(24, 24, 3))
    assert str(caught.value) == (
        f"{tmp_path.name}: 'image' holds samples of shape (40, 60, 3); net takes (24, 24, 3); write "
        "[preprocessing] resize and crop, such as resize = 256 and crop = 224, in the folder's manifest.toml")
    write(tmp_path, "b.png", size=(30, 30))
    Image.fromarray(picture(30, 30)).save(tmp_path / "b.png")
    with pytest.raises(BadSamples, match=r"b.png: becomes \(30, 30, 3\), but a.png \(40, 60, 3\); write"):
        list(load_samples(tmp_path).batches(4))


@pytest.mark.parametrize("colour", ["rgb", "gray"])
def test_grey_of_16_bits_keeps_its_upper_byte(tmp_path, colour):
    grey = np.linspace(0, 65535, 12 * 10).astype(np.uint16).reshape(12, 10)
    Image.fromarray(grey).save(tmp_path / "a.png")
    (tmp_path / "manifest.toml").write_text(f'kind = "images"\n[preprocessing]\ncolour = "{colour}"')
    seen = load_samples(tmp_path).x["x"][0]
    assert all(np.array_equal(seen[..., channel], grey // 256) for channel in range(seen.shape[-1]))


def test_the_current_folder_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(write(tmp_path, "a.png"))
    assert len(load_samples(".")) == 1


def test_a_manifest_may_lie_beside_the_folder(tmp_path):
    write(tmp_path / "photos", "a.png")
    (tmp_path / "photos.toml").write_text('kind = "images"\nname = "mine"\n[preprocessing]\nresize = [4, 5]')
    samples = load_samples(tmp_path / "photos")
    assert (samples.name, samples.x["x"].shape) == ("mine", (1, 4, 5, 3))


@pytest.mark.parametrize("text, message", [
    ("resize = 0", "preprocessing.resize"),
    ("crop = [4, 5, 6]", "crop has 3 numbers; give one, or height and width"),
    ("crop_padding = 32", "crop_padding goes with one number for crop"),
    ("scale = [1.0, 2.0]", "preprocessing.scale has 2 numbers for 3 channels"),
    ('colour = "cmyk"', "preprocessing.colour"),
    ("resiz = 4", "unknown key 'preprocessing.resiz'; did you mean 'preprocessing.resize'"),
])
def test_a_manifest_at_fault_is_named(tmp_path, text, message):
    write(tmp_path, "a.png")
    (tmp_path / "manifest.toml").write_text(f'kind = "images"\n[preprocessing]\n{text}')
    with pytest.raises(BadConfig, match=f"manifest.toml: .*{message}"):
        load_samples(tmp_path)


@pytest.mark.parametrize("damage", [lambda b: b[:len(b) // 2], lambda b: b"", lambda b: b"no image" * 9])
def test_a_damaged_image_is_named_when_it_is_read(tmp_path, damage):
    write(tmp_path, "a.png", "b.png")
    (tmp_path / "b.png").write_bytes(damage((tmp_path / "b.png").read_bytes()))
    samples = load_samples(tmp_path)
    with pytest.raises(BadSamples, match="b.png: not a readable image"):
        samples.feeds(slice(0, 2))


def test_a_crop_larger_than_the_image_is_refused(tmp_path):
    write(tmp_path, "a.png")
    (tmp_path / "manifest.toml").write_text('kind = "images"\n[preprocessing]\ncrop = 50')
    with pytest.raises(BadSamples, match="a.png: is 40 x 60 before the crop to 50 x 50; write a larger"):
        load_samples(tmp_path)


def test_files_in_folders_and_beside_them_are_ambiguous(tmp_path):
    with pytest.raises(BadSamples, match="some files lie in a folder, which is their class, and some"):
        load_samples(write(tmp_path, "a.png", "dog/b.png"))
