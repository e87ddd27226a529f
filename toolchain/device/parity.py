"""The artefact's test vectors on a device against the host's reference, with a tolerance for each runtime.

The vectors are the reference's own outputs (runtime/reference.py), which is TFLite Micro's arithmetic bit for
bit; the numeric contract in ARCHITECTURE.md says how far other runtimes may be from it. A file that computes
recurrent layers in float is held to the reference of just that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.artifact import Artifact, own_output
from toolchain.device.local import Session
from toolchain.measurement import Parity
from toolchain.port import Port, convert
from toolchain.profile import Format


@dataclass(frozen=True)
class Tolerance:
    """codes: largest difference of an integer output;  share: of the codes that may differ by more than one
    real:  largest difference of a float output, as a share of the vectors' range
    why:   in words
    """

    codes: int
    share: float
    real: float
    why: str


EXACT = Tolerance(0, 0.0, 0.0, "generated C is the reference, bit for bit")
ONCE = Tolerance(16, 0.4, 0.0, "kernels that round once differ by 1 code at each requantization")
"""EfficientNet-Lite0 in XNNPACK and in ONNX Runtime: up to 8 codes, 15 % of them by more than 1."""
PROBABLE = Tolerance(64, 0.4, 0.0, "1 code before a softmax or logistic is many behind it")
"""At a scale of 1 / 256: what softmax and logistic give (TFLite's 8-bit quantization specification). MLPerf
Tiny's ResNet on noise: up to 44 codes."""
WIDE = Tolerance(256, 1.0, 0.0, "codes of 16 bits, of which 256 are one of 8 bits")
REALS = {"float16": 5e-3, "weight_only": 5e-3, "dynamic": 0.1, "": 1e-4}
"""Float outputs by how the artefact's scheme begins, the first that fits: where weights are float16 or
integers, runtimes choose where to round; a dynamic one rounds activations too."""
REMEDY = "see which layer differs with edge diagnose, or take another runtime"
FLOAT_CODES = 1e-5
"""Float outputs that differ by no more count as equal."""


def tolerance(fmt: Format, scheme: str, port: Port) -> Tolerance:
    """How far a runtime's answers may be from the reference's.

    fmt:    "c": generated C, on any device; else LiteRT, its XNNPACK, tflite-runtime or ONNX Runtime, of one
            kind here: none is bit-exact, and which of their kernels run depends on the CPU
    scheme: the artefact's;  port: an output of its graph
    """
    if fmt == "c":
        return EXACT
    if port.scale is not None and port.dtype == "int16":
        return WIDE
    if port.scale is not None:
        return PROBABLE if np.isclose(port.scale, 1 / 256) else ONCE
    real = next(real for start, real in REALS.items() if scheme.startswith(start))
    return Tolerance(0, 0.0, real, f"floats of scheme {scheme}")


def parity(artifact: Artifact, fmt: Format, session: Session) -> tuple[Parity | None, tuple[str, ...]]:
    """Run the test vectors; compare in the reference's own codes. None where the artefact has none.

    Problems, one line each: outputs beyond the tolerance.
    """
    if not artifact.vectors:
        return None, ()
    return compared(artifact, fmt, session.run(vector_feeds(artifact, fmt)))


def compared(artifact: Artifact, fmt: Format,
             got: Mapping[str, np.ndarray]) -> tuple[Parity, tuple[str, ...]]:
    """As `parity`, of what the file gave for the test vectors."""
    scheme, outputs, vectors = artifact.manifest.scheme, artifact.manifest.outputs, artifact.vectors
    pairs = [(want, convert(got[have.name], have, want).astype(np.float64),
              vectors.get(own_output(fmt, want.name), vectors[f"output/{want.name}"]))
             for have, want in zip(outputs[fmt], outputs["graph"], strict=True)]
    problems = tuple(line for port, ours, reference in pairs
                     for line in _beyond(port, ours, reference, tolerance(fmt, scheme, port)))
    return _summary(pairs), problems


def vector_feeds(artifact: Artifact, fmt: Format) -> dict[str, np.ndarray]:
    """Inputs of the test vectors, as one of the artefact's files takes them."""
    ports = artifact.manifest.inputs
    return {want.name: convert(artifact.vectors[f"input/{have.name}"], have, want)
            for have, want in zip(ports["graph"], ports[fmt], strict=True)}


def _summary(pairs) -> Parity:
    """Of all outputs together."""
    off = np.concatenate([np.abs(ours - reference).ravel() for _, ours, reference in pairs])
    allowed = 0 if pairs[0][0].scale is not None else FLOAT_CODES
    return Parity(checked=off.size, mismatched=int((~(off <= allowed)).sum()),
                  worst=float(off[np.isfinite(off)].max(initial=0)))


def _beyond(port: Port, ours: np.ndarray, reference: np.ndarray, allowed: Tolerance) -> Iterator[str]:
    off = np.abs(ours - reference)
    if not np.isfinite(ours).all():
        yield f"output '{port.name}' holds NaN or Inf on the device; the artefact cannot be trusted there"
    elif port.scale is None:
        yield from _reals(port, off, np.asarray(reference, np.float64), allowed)
    else:
        yield from _codes(port, off, allowed)


def _reals(port: Port, off: np.ndarray, reference: np.ndarray, allowed: Tolerance) -> Iterator[str]:
    span = max(float(np.ptp(reference)), float(np.abs(reference).max()), 1e-12)
    if (worst := float(off.max()) / span) > allowed.real:
        yield (f"output '{port.name}' is off by {worst:.2g} of its range, {allowed.real:.2g} is allowed "
               f"({allowed.why}); {REMEDY}")


def _codes(port: Port, off: np.ndarray, allowed: Tolerance) -> Iterator[str]:
    worst, share = int(off.max()), float((off > 1).mean())
    if worst > allowed.codes or share > allowed.share:
        yield (f"output '{port.name}' is off by up to {worst} codes, {share:.1%} of them by more than 1; "
               f"allowed are {allowed.codes} and {allowed.share:.0%} ({allowed.why}); {REMEDY}")
