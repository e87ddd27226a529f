"""Clips: PCM of any width, features against other implementations, one clear message for a file at fault."""

import io
import wave

import numpy as np
import pytest
import soundfile
import torch

from toolchain.data import load_samples
from toolchain.data.audio import pcm, read_clip
from toolchain.data.mfcc import MLPERF_TINY, Audio, features, mel_bands
from toolchain.errors import BadConfig, BadSamples

SINE = np.sin(np.arange(1600) / 7) * 0.9


def write(path, clip=SINE, width=2, rate=16_000):
    """Little-endian PCM; clip (samples,) or (samples, channels) in -1..1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codes = np.round(clip * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    data = (codes + 128).astype(np.uint8).tobytes() if width == 1 else b"".join(
        int(code).to_bytes(width, "little", signed=True) for code in codes.reshape(-1))
    with wave.open(str(path), "wb") as stream:
        stream.setparams((1 if clip.ndim == 1 else clip.shape[1], width, rate, 0, "NONE", ""))
        stream.writeframes(data)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_pcm_of_any_width(tmp_path, width):
    write(tmp_path / "a.wav", width=width)
    rate, clip = read_clip(tmp_path / "a.wav")
    assert rate == 16_000 and clip.dtype == np.float32
    assert np.abs(clip - SINE).max() <= 1.5 / 2 ** (8 * width - 1) + 1e-6


def test_the_lowest_code_is_minus_one():
    assert pcm(b"\x00\x80", 2) == pcm(b"\x00\x00\x80", 3) == pcm(b"\x00", 1) == -1


def test_channels_are_averaged(tmp_path):
    write(tmp_path / "a.wav", np.stack([SINE, 0 * SINE], 1))
    assert np.abs(read_clip(tmp_path / "a.wav")[1] - SINE / 2).max() < 1e-4


def test_a_folder_of_clips(tmp_path):
    write(tmp_path / "no/b.wav")
    write(tmp_path / "yes/a.wav", SINE[:700])
    (tmp_path / "manifest.toml").write_text('kind = "audio"\n[preprocessing.audio]\nlength = 1000')
    samples = load_samples(tmp_path)
    assert samples.x["x"].shape == (2, 1000) and samples.y.tolist() == [0, 1]
    x = samples.feeds(slice(0, 2))["x"]
    assert not x[1, 700:].any() and np.abs(x[:, :700] - SINE[:700]).max() < 1e-4


def test_features_of_a_folder_are_those_of_each_clip(tmp_path):
    write(tmp_path / "a.wav")
    (tmp_path / "manifest.toml").write_text(
        'kind = "audio"\n[preprocessing.audio]\nfeatures = "mfcc"\nlength = 16000\nnormalise = "max"')
    x = load_samples(tmp_path).x["x"]
    assert x.shape == (1, 49, 10)
    assert np.array_equal(x[0], features(read_clip(tmp_path / "a.wav")[1], MLPERF_TINY))


def test_log_mel_is_torch_s_spectrum_under_the_bands():
    clip = np.random.default_rng(0).normal(size=4000).astype(np.float32)
    config = Audio(features="log_mel", length=4000, frame=480, fft=480)
    found = torch.stft(torch.from_numpy(clip).double(), 480, 320, center=False, return_complex=True,
                       window=torch.hann_window(480, periodic=True, dtype=torch.double)).abs().T.numpy()
    expected = np.log(found @ mel_bands(config).astype(np.float64) + 1e-6)
    assert features(clip, config).shape == (12, 40)
    assert np.abs(features(clip, config) - expected).max() < 1e-4


def test_bands_are_triangles_on_htk_s_scale():
    """The HTK Book 5.4: mel = 2595 log10(1 + f / 700); between two centres the bands add to 1."""
    bands = mel_bands(Audio(mels=20, low=100.0, high=8000.0))
    edges = np.linspace(*(2595 * np.log10(1 + np.array([100, 8000]) / 700)), 22)
    centres = 700 * (10 ** (edges[1:-1] / 2595) - 1)
    hertz = np.arange(257) * 16_000 / 512
    inside = (hertz > centres[0]) & (hertz < centres[-1])
    assert np.abs(bands[inside].sum(axis=1) - 1).max() < 1e-5
    assert np.abs(hertz[bands.argmax(axis=0)] - centres).max() <= 16_000 / 512
    assert not bands[0].any() and not bands[hertz < 100].any()


def test_mfcc_are_an_orthonormal_transform_of_log_mel_but_for_the_first():
    """DCT-II over sqrt(2 mels): all but the first coefficient have an orthonormal one's size."""
    clip = np.random.default_rng(1).normal(size=2000).astype(np.float32)
    energies = features(clip, Audio(features="log_mel", mels=16)).astype(np.float64)
    every = features(clip, Audio(features="mfcc", mels=16, coefficients=16)).astype(np.float64)
    every[:, 0] /= np.sqrt(2)
    assert np.allclose((every ** 2).sum(axis=1), (energies ** 2).sum(axis=1), rtol=1e-5)
    assert np.allclose(every[:, 0], energies.sum(axis=1) / 4, rtol=1e-5)


def test_silence_stays_finite():
    assert np.isfinite(features(np.zeros(16_000, np.float32), MLPERF_TINY)).all()


def test_the_front_end_is_mlperf_tiny_s(kit):
    """At least 99 % of the int8 codes that the keyword model reads equal those of its published pipeline."""
    folder = kit / "speech_commands"
    known = {}
    for path in sorted(folder.glob("mfcc_*.npz")):
        with np.load(path) as pack:
            known |= dict(zip(zip(pack["name"], pack["speaker"]), pack["mfcc"]))
    with np.load(folder / "clips_flac_0.npz") as pack:
        flac, offset, keys = pack["flac"], pack["offset"], list(zip(pack["name"], pack["speaker"]))
    equal = []
    for key, begin, end in zip(keys, offset, offset[1:]):
        clip, _ = soundfile.read(io.BytesIO(flac[begin:end].tobytes()), dtype="float32")
        ours, theirs = (np.trunc(np.float32(value) / np.float32(0.5847029) + 83)
                        for value in (features(clip, MLPERF_TINY), known[key]))
        equal.append(ours == theirs)
    assert len(equal) > 200 and np.mean(equal) >= 0.99


def test_a_clip_written_to_a_pipe_has_no_length_in_its_header(tmp_path):
    write(tmp_path / "a.wav")
    whole = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(whole[:40] + b"\xff\xff\xff\xff" + whole[44:])
    assert np.array_equal(read_clip(tmp_path / "b.wav")[1], read_clip(tmp_path / "a.wav")[1])


@pytest.mark.parametrize("change, message", [
    (lambda p: write(p, rate=8000), "b.wav: is at 8000 Hz, not 16000; resample it, or write"),
    (lambda p: write(p, SINE[:900]), r"b.wav: becomes \(900,\), but a.wav \(1600,\); write \[preproc"),
    (lambda p: p.write_bytes((p.parent / "a.wav").read_bytes()[:34] + b"\x40\0data" + bytes(12)),
     "b.wav: not a readable .wav: 64 bits a sample; write it as PCM of 16 bits"),
    (lambda p: p.write_bytes(b"RIFF"), "b.wav: not a readable .wav: it ends early; write it as PCM"),
    (lambda p: p.write_bytes((p.parent / "a.wav").read_bytes()[:-2]), "b.wav: .*: it ends early; write it"),
    (lambda p: p.write_bytes(b"no sound at all"), "b.wav: not a readable .wav: file does not start"),
    (lambda p: write(p, SINE[:0]), "b.wav: holds no samples; drop it"),
])
def test_a_clip_at_fault_is_named(tmp_path, change, message):
    write(tmp_path / "a.wav")
    change(tmp_path / "b.wav")
    samples = load_samples(tmp_path)
    with pytest.raises(BadSamples, match=message):
        samples.feeds(slice(0, 2))


@pytest.mark.parametrize("text, message", [
    ("fft = 256", r"fft \(256\) must be at least frame \(480\)"),
    ("high = 9000.0", "low and high must lie in 0..8000"),
    ("mels = 8", r"coefficients \(10\) must be at most mels \(8\)"),
    ('features = "plp"', "preprocessing.audio.features"),
])
def test_a_manifest_at_fault_is_named(tmp_path, text, message):
    write(tmp_path / "a.wav")
    (tmp_path / "manifest.toml").write_text(f'kind = "audio"\n[preprocessing.audio]\n{text}')
    with pytest.raises(BadConfig, match=f"manifest.toml: .*{message}"):
        load_samples(tmp_path)
