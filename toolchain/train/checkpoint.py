"""A run of training on the disk, so that it goes on after a kill: whole, or refused.

A file is sealed (`atomic.write_sealed`) and holds what torch writes of plain values and tensors; nothing that
is read is run.
"""

from collections.abc import Iterable, Mapping
import hashlib
import io
from pathlib import Path
import pickle
import time
from zipfile import BadZipFile

import msgspec
import numpy as np
import torch

from toolchain.atomic import read_sealed, require_place, write_sealed
from toolchain.data import Samples
from toolchain.errors import BadInput
from toolchain.ir.graph import Graph
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule
from toolchain.training_sections import TrainConfig

SECONDS = 5.0
"""Between two writes, at least."""
SHARE = 0.05
"""Of the time, at most, that is spent writing."""
UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, KeyError, TypeError, AttributeError, IndexError,
              pickle.UnpicklingError, BadZipFile)
"""What torch raises for a file that is none."""


class Checkpoint:
    """What a run with these arguments leaves at `path`, and finds there.

    identity: argument -> digest
    Raises BadInput where nothing can be written there.
    """

    def __init__(self, path: Path, identity: Mapping[str, str]):
        require_place(path)
        self.path, self.identity = path, dict(identity)
        self._next = time.monotonic() + SECONDS

    def load(self) -> dict | None:
        """What was written last; None where there is no file.

        Raises BadInput where it is damaged or of a run with other arguments.
        """
        if not self.path.exists():
            return None
        held = self._read()
        if others := [name for name in self.identity if held["identity"].get(name) != self.identity[name]]:
            raise BadInput(f"{self.path}: is of a run with another {', another '.join(others)}; give what it "
                           f"was begun with, or delete it to begin anew")
        return held["state"]

    def _read(self) -> dict:
        try:
            held = torch.load(io.BytesIO(read_sealed(self.path)), weights_only=True)
            held["identity"].keys(), held["state"].keys()
        except UNREADABLE as error:
            reason = "it holds more than tensors and plain values" if isinstance(
                error, pickle.UnpicklingError) else str(error).partition("\n")[0]
            raise BadInput(f"{self.path}: no checkpoint of training, or a damaged one: {reason}; delete it "
                           f"to begin anew") from None
        return held

    @property
    def is_due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() >= self._next

    def write(self, state: Mapping[str, object]) -> None:
        """Write the file whole or not at all."""
        begun, stream = time.monotonic(), io.BytesIO()
        torch.save({"identity": self.identity, "state": state}, stream)
        write_sealed(self.path, stream.getbuffer())
        done = time.monotonic()
        self._next = done + max(SECONDS, (done - begun) / SHARE)

    def remove(self) -> None:
        """The run is over."""
        self.path.unlink(missing_ok=True)


def identity_of(graph: Graph, config: TrainConfig, samples: Samples, teacher: Graph | None, seed: int,
                metric: str, selection: Samples | None, additions: Iterable[Addition],
                module: GraphModule) -> dict[str, str]:
    """Argument of `fit` -> digest of what of it decides the trained weights, and torch's version."""
    own = [Path(spec.rpartition(":")[0]).read_bytes() for spec in (config.loss, config.loader) if spec]
    return {"graph": graph.digest,
            f"[{config.heading}] section": _sha256(msgspec.json.encode(config), *own),
            "training samples": samples_digest(samples),
            "teacher": teacher.digest if teacher else "",
            "seed": str(seed),
            "metric": metric,
            "selection samples": samples_digest(selection) if selection else "",
            "penalty, mask or gate": _sha256(*(f"{type(one).__qualname__} {one.key()}".encode()
                                               for one in additions)),
            "quantized form": module.key(),
            "version of torch": str(torch.__version__)}


def samples_digest(samples: Samples) -> str:
    """Of what is fed, and the labels, in their order."""
    digest = hashlib.sha256()
    for feeds in samples.batches(1024):
        for name in sorted(feeds):
            digest.update(f"{name} {feeds[name].dtype} {feeds[name].shape}".encode())
            digest.update(np.ascontiguousarray(feeds[name]))
    if samples.y is not None:
        digest.update(f"y {samples.y.dtype} {samples.y.shape}".encode())
        digest.update(np.ascontiguousarray(samples.y))
    return digest.hexdigest()


def _sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
