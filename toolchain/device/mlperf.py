"""What firmware is told of a model when it is compiled: its ports, and which task of MLPerf Tiny it is."""

from collections.abc import Sequence
import re

import numpy as np

from toolchain.artifact import Manifest
from toolchain.port import Port
from toolchain.profile import TargetProfile

TASKS = {(490, 12): ("kws01", "DB_CODES"), (3072, 10): ("ic01", "DB_PIXELS"),
         (27648, 2): ("vww01", "DB_PIXELS"), (640, 640): ("ad01", "DB_REALS")}
"""Bytes in and out of MLPerf Tiny's networks -> their name, and what its runner sends them (db.h)."""
ALIGNMENT = 16
"""Several inputs are sent one after another, each at a multiple of this."""
C_TYPE = {"int8": "int8_t", "uint8": "uint8_t", "bool": "uint8_t", "int16": "int16_t", "int32": "int32_t"}
ITEM_BYTES = {"int16": 2, "int32": 4}


def program_flags(manifest: Manifest, profile: TargetProfile) -> list[str]:
    """-D for targets/firmware/: the names it gives, its ports, how codes become reals."""
    inputs, outputs = manifest.inputs.get("c", ()), manifest.outputs.get("c", ())
    task, sent = task_of(manifest)
    facts = {"TK_NAME": _quoted(task or manifest.name), "TK_VENDOR": _quoted(profile.name), "TK_DB": sent,
             "TK_PORTS": max(len(inputs), len(outputs), 1),
             "TK_INPUT_BYTES": f"{padded_bytes([port_bytes(port) for port in inputs])}u"}
    if inputs and inputs[0].scale:
        facts |= _real("INPUT", inputs[0])
    if outputs:
        facts |= {"TK_OUTPUT": C_TYPE[outputs[0].dtype], **_real("OUTPUT", outputs[0])}
    return [f"-D{name}={value}" for name, value in facts.items()]


def task_of(manifest: Manifest) -> tuple[str, str]:
    """Name and what is sent, by the sizes of an int8 network; ("", "DB_CODES") for none of MLPerf Tiny's."""
    inputs, outputs = manifest.inputs.get("c", ()), manifest.outputs.get("c", ())
    if len(inputs) == len(outputs) == 1 and inputs[0].dtype == outputs[0].dtype == "int8" and inputs[0].scale:
        return TASKS.get((port_bytes(inputs[0]), port_bytes(outputs[0])), ("", "DB_CODES"))
    return "", "DB_CODES"


def sent_bytes(manifest: Manifest, codes: np.ndarray) -> bytes:
    """What the runner sends for a sample, given as codes of the network's only input (db.h).

    Of pictures, pixels from 0 to 255; of sounds for the autoencoder, reals; else the codes themselves.
    """
    port, (_, sent) = manifest.inputs["c"][0], task_of(manifest)
    if sent == "DB_PIXELS":
        return (codes.astype(np.int16) + 128).astype(np.uint8).tobytes()
    if sent == "DB_REALS":
        return ((codes.astype(np.float64) - port.zero_point) * port.scale).astype("<f4").tobytes()
    return np.ascontiguousarray(codes).tobytes()


def port_bytes(port: Port) -> int:
    """Of one sample."""
    items = 1
    for size in port.shape:
        items *= size
    return items * ITEM_BYTES.get(port.dtype, 1)


def padded_bytes(sizes: Sequence[int]) -> int:
    """Of several inputs sent one after another."""
    total = 0
    for size in sizes:
        total = -(-total // ALIGNMENT) * ALIGNMENT + size
    return total


def _real(side: str, port: Port) -> dict[str, str]:
    """Plain numbers are their own reals."""
    scale, zero_point = (port.scale, port.zero_point) if port.scale else (1.0, 0)
    return {f"TK_{side}_SCALE": repr(float(scale)), f"TK_{side}_ZERO_POINT": f"({zero_point})"}


def _quoted(text: str) -> str:
    """A C string of what a reply's brackets may hold."""
    return '"' + re.sub(r"[^\w .+-]", "_", text, flags=re.ASCII) + '"'
