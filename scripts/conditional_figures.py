"""The figures of compare_conditional.py."""

from pathlib import Path

from figures import PRUNING, TRAINING, Figure, code, digest, unpacked
import msgspec
import numpy as np
from pruning_figures import UNPRUNED, Cell
from pruning_networks import CASES, ROOT
import torch

FOLDER = ROOT / "build" / "benchmark" / "conditional"
INT8, TOP, RESCALED, INT4 = "int8", "top 4 bits", "top 4 bits, rescaled", "4 bits of their own"
CODE = ("scripts/conditional_networks.py", "scripts/conditional_bits.py", "scripts/conditional_runs.py",
        "scripts/pruning_networks.py", "scripts/pruning_cells.py", "docs/examples/har_watch/*.py")
"""What shapes networks, beside the toolchain itself."""


class Subject(msgspec.Struct, frozen=True):
    """epochs: of the whole network, and of what is made of it; what begins anew is trained for both"""

    network: str
    seed: int
    epochs: tuple[int, int]

    @property
    def cell(self) -> Cell:
        return Cell(self.network, UNPRUNED, 1.0, self.seed)

    @property
    def text(self) -> str:
        return f"{self.network}, seed {self.seed}"

    @property
    def example(self) -> torch.Tensor:
        return torch.from_numpy(CASES[self.network].data().test[0][:1])

    def path(self, name: str) -> Path:
        """Where a network is kept."""
        return FOLDER / f"{self.digest}-{name}"

    @property
    def digest(self) -> str:
        return digest(msgspec.json.encode(self), code((*CODE, *TRAINING, *PRUNING)))


class Answer(msgspec.Struct, frozen=True):
    """One network on the test samples.

    real, coded:  on which it is right, packed; in float, and as INT8; "" where it is not answered so
    macs, instructions: of an inference, expected; the latter on BOARD
    constants:    bytes of flash, in C, beside the code
    """

    real: str
    coded: str
    macs: float
    instructions: float
    constants: int


class OfSubject(Figure, kw_only=True):
    """answers: way -> what came of it; n: test samples"""

    subject: Subject
    n: int
    answers: dict[str, Answer]

    @property
    def text(self) -> str:
        return self.subject.text

    def right(self, way: str, coded: bool = True) -> np.ndarray:
        """(n,) bool."""
        answer = self.answers[way]
        return unpacked(answer.coded if coded else answer.real, self.n)


class Widths(OfSubject, kw_only=True):
    """Widths of one set of weights; the whole network, that pruned to the instructions of a width, and
    networks of a width that were trained alone."""


class Bits(OfSubject, kw_only=True):
    """INT8, and coarser."""


class Gates(OfSubject, kw_only=True):
    """Gates that keep a share of the channels, and cascades of as many instructions. A gated network's
    instructions are a lower bound: those of a plain network of the width that is kept, and of predictors."""


class Weighed(Figure, kw_only=True):
    """Instructions on boards, and constants in flash, of one network with weights of 8 and of 4 bits."""

    network: str
    instructions: dict[str, tuple[int, int]]
    constants: tuple[int, int]

    @property
    def text(self) -> str:
        return self.network
