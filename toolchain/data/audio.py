"""Clips as samples: read one by one when they are asked for, and turned into features as a manifest says."""

from pathlib import Path
import struct
import wave

import numpy as np

from toolchain.data.mfcc import Audio, features
from toolchain.data.rows import Rows, rows_of_files
from toolchain.errors import BadInput, BadSamples

SUFFIXES = (".wav", ".flac")
UNKNOWN = 0x7FFF0000
"""Bytes from which on a header's length stands for none, as where it was written to a pipe."""
REMEDY = ("write [preprocessing.audio] length, in samples, in the folder's manifest.toml; with "
          'features = "mfcc" or "log_mel" where the network takes those')


def audio_rows(files: list[Path], config: Audio) -> Rows:
    """Clips as (N, samples), or their features (N, frames, coefficients), float32; only the first is read.

    Raises BadSamples where the first cannot be read, and later where one cannot or has another length.
    """
    return rows_of_files(files, lambda path: sample_of(path, config), np.float32, REMEDY)


def sample_of(path: Path, config: Audio) -> np.ndarray:
    """One clip's features. Raises BadSamples for another rate than the manifest's."""
    rate, clip = read_clip(path)
    if rate != config.rate:
        raise BadSamples(f"{path}: is at {rate} Hz, not {config.rate}; resample it, or write "
                         f"[preprocessing.audio] rate = {rate} if the network was trained on that")
    if config.features != "none" and len(clip) < config.frame and config.length is None:
        raise BadSamples(f"{path}: has {len(clip)} samples, fewer than a frame of {config.frame}; {REMEDY}")
    return features(clip, config)


def read_clip(path: Path) -> tuple[int, np.ndarray]:
    """(rate in Hz, samples float32 in -1..1): channels are averaged into one.

    .wav in PCM of 8, 16, 24 or 32 bits; .flac with the soundfile package. Raises BadSamples.
    """
    rate, clip = _flac(path) if path.suffix.lower() == ".flac" else _wav(path)
    if not len(clip):
        raise BadSamples(f"{path}: holds no samples; drop it")
    return rate, clip.mean(axis=1, dtype=np.float32)


def _wav(path: Path) -> tuple[int, np.ndarray]:
    try:
        with wave.open(str(path)) as stream:
            width, channels = stream.getsampwidth(), stream.getnchannels()
            data, rate = stream.readframes(stream.getnframes()), stream.getframerate()
            if width > 4:
                raise wave.Error(f"{8 * width} bits a sample")
            if len(data) < stream.getnframes() * width * channels < UNKNOWN:
                raise EOFError
    except (wave.Error, EOFError, OSError, RuntimeError, ValueError, struct.error) as error:
        raise BadSamples(f"{path}: not a readable .wav: {str(error) or 'it ends early'}; write it as "
                         f"PCM of 16 bits") from None
    usable = len(data) - len(data) % (width * channels)
    return rate, pcm(data[:usable], width).reshape(-1, channels)


def pcm(data: bytes, width: int) -> np.ndarray:
    """Little-endian PCM of `width` bytes a sample as float32 in -1..1; one byte is unsigned (RIFF WAVE)."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:  # as the upper bytes of 32 bits
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        data, width = wide.tobytes(), 4
    codes = np.frombuffer(data, f"<i{width}")
    return (codes / 2.0 ** (8 * width - 1)).astype(np.float32)


def _flac(path: Path) -> tuple[int, np.ndarray]:
    try:
        import soundfile
    except ModuleNotFoundError:
        raise BadInput(f"{path}: .flac needs soundfile: pip install soundfile==0.13.1") from None
    try:
        clip, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (RuntimeError, OSError, ValueError) as error:
        raise BadSamples(f"{path}: not a readable .flac: {error}; repair it or drop it") from None
    return rate, clip
