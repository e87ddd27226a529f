"""Audio features: log mel energies and MFCC, as TensorFlow's tf.signal computes them.

With `MLPERF_TINY` it is the front end of MLPerf Tiny's keyword spotting.
"""

from typing import Annotated, Literal

import msgspec
import numpy as np

Positive = Annotated[int, msgspec.Meta(gt=0)]
Hertz = Annotated[float, msgspec.Meta(ge=0)]


class Audio(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a clip becomes; `[preprocessing.audio]` of a manifest.

    features:     "none": the waveform itself; "log_mel": log of mel energies; "mfcc": their cosine transform
    rate:         Hz of the clips; others are refused, none is resampled
    length:       samples of a clip: shorter ones are padded with zeros at the end, longer ones cut; None: as
                  they are, which must be the same length everywhere
    normalise:    "max" divides a clip by its highest value (not the highest magnitude), where that is above 0
    frame, step:  samples of a frame, and from one to the next
    fft:          points of the transform, at least `frame`
    mels:         triangular bands between `low` and `high` Hz, equally wide on HTK's mel scale
    floor:        added to each energy before the logarithm
    coefficients: of the MFCC, the first ones
    """

    features: Literal["none", "log_mel", "mfcc"] = "none"
    rate: Positive = 16_000
    length: Positive | None = None
    normalise: Literal["none", "max"] = "none"
    frame: Positive = 480
    step: Positive = 320
    fft: Positive = 512
    mels: Positive = 40
    low: Hertz = 20.0
    high: Hertz = 4000.0
    floor: Annotated[float, msgspec.Meta(gt=0)] = 1e-6
    coefficients: Positive = 10

    def __post_init__(self) -> None:
        if self.fft < self.frame:
            raise ValueError(f"fft ({self.fft}) must be at least frame ({self.frame})")
        if not self.low < self.high <= self.rate / 2:
            raise ValueError(f"low and high must lie in 0..{self.rate / 2:g}, low below high")
        if self.coefficients > self.mels:
            raise ValueError(f"coefficients ({self.coefficients}) must be at most mels ({self.mels})")
        if self.features != "none" and self.length is not None and self.length < self.frame:
            raise ValueError(f"length ({self.length}) must be at least frame ({self.frame})")


MLPERF_TINY = Audio(features="mfcc", length=16_000, normalise="max")
"""Keyword spotting in MLPerf Tiny: 49 frames of 10 coefficients from a second at 16 kHz."""


def features(signal: np.ndarray, config: Audio) -> np.ndarray:
    """Of a clip (samples,) float32, usually in -1..1: (frames, coefficients or mels) float32.

    Without features, the clip itself as `normalise` and `length` say, (samples,).
    """
    clip = sized(_normalised(signal.astype(np.float32), config), config.length)
    if config.features == "none":
        return clip
    energies = np.log(_spectrum(clip, config) @ mel_bands(config) + np.float32(config.floor))
    return energies if config.features == "log_mel" else (energies @ _cosines(config)).astype(np.float32)


def sized(clip: np.ndarray, length: int | None) -> np.ndarray:
    """The clip cut to `length` samples, or padded with zeros behind."""
    if length is None or len(clip) == length:
        return clip
    return np.pad(clip[:length], (0, max(0, length - len(clip))))


def _normalised(clip: np.ndarray, config: Audio) -> np.ndarray:
    highest = clip.max(initial=0.0)
    return clip / highest if config.normalise == "max" and highest > 0 else clip


def _spectrum(clip: np.ndarray, config: Audio) -> np.ndarray:
    """Magnitudes (frames, fft // 2 + 1) float32 of whole frames, periodic Hann window, as tf.signal.stft."""
    frames = np.lib.stride_tricks.sliding_window_view(clip, config.frame)[::config.step]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.frame) / config.frame)
    return np.abs(np.fft.rfft(frames * window.astype(np.float32), config.fft)).astype(np.float32)


def mel_bands(config: Audio) -> np.ndarray:
    """Weights (fft // 2 + 1, mels) float32 of tf.signal.linear_to_mel_weight_matrix; none for 0 Hz.

    HTK's scale: mel = 1127 ln(1 + Hz / 700).
    """
    bins = np.linspace(0, config.rate / 2, config.fft // 2 + 1)[1:, None]
    edges = np.linspace(_mel(config.low), _mel(config.high), config.mels + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    slopes = (_mel(bins) - lower) / (centre - lower), (upper - _mel(bins)) / (upper - centre)
    bands = np.maximum(0, np.minimum(*slopes))
    return np.pad(bands, ((1, 0), (0, 0))).astype(np.float32)


def _mel(hertz: float | np.ndarray) -> float | np.ndarray:
    return 1127.0 * np.log1p(hertz / 700.0)


def _cosines(config: Audio) -> np.ndarray:
    """(mels, coefficients): DCT-II, 2 cos(pi k (2 n + 1) / (2 mels)) / sqrt(2 mels)."""
    n, k = np.arange(config.mels)[:, None], np.arange(config.coefficients)
    return 2 * np.cos(np.pi * k * (2 * n + 1) / (2 * config.mels)) / np.sqrt(2 * config.mels)
