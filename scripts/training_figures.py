"""The figures of benchmark_training.py, but for those of pruned networks, which are pruning_figures.py's."""

from collections.abc import Mapping

from figures import Figure, unpacked
import msgspec
import numpy as np
from pruning_figures import UNPRUNED, Cell

LABELS, ANSWERS, FITNETS, ATTENTION = ("labels", "labels, answers", "labels, answers, fitnets",
                                       "labels, answers, attention")
TRANSFORMER = "labels, answers of a transformer"
"""What a student learns from."""
FLOAT, NEAREST, DEFAULT, LEARNED = "float", "nearest codes", "biases corrected", "`[qat]`, ranges learned"
"""Ways of quantizing that bounds are about."""
PRUNED, LITERT, ONNX, C = "pruned", "INT8, LiteRT", "INT8, ONNX Runtime", "INT8, C"
"""What is scored beside FLOAT of networks that draw: half of its work, and that as INT8; C by the reference,
which is proved to be what the board gives."""


class Student(msgspec.Struct, frozen=True):
    """Which network is pruned, and what it learns from afterwards; the seed of samples and training."""

    network: str
    way: str
    seed: int

    @property
    def cell(self) -> Cell:
        """Its network, unpruned."""
        return Cell(self.network, UNPRUNED, 1.0, self.seed)

    @property
    def text(self) -> str:
        return f"{self.network}, {self.way}, seed {self.seed}"


class Taught(Figure, kw_only=True):
    """A student after training, in float.

    macs: of the unpruned network, of it
    teacher, hits: on each of n test samples, of what taught it, of it, packed
    """

    student: Student
    macs: tuple[int, int]
    teacher: str
    hits: str
    n: int

    @property
    def text(self) -> str:
        return self.student.text

    def right(self, whose: str = "hits") -> np.ndarray:
        """(n,) bool."""
        return unpacked(getattr(self, whose), self.n)


class Coded(Figure, kw_only=True):
    """One network in codes of a scheme, in several ways, in LiteRT.

    hits:  way -> on each of n test samples, packed;  same: way -> share that is answered as in float
    predicted: share of test samples that [qat]'s own simulation answers as LiteRT does
    in_c:      as C does, which is the reference
    """

    network: str
    scheme: str
    seed: int
    hits: Mapping[str, str]
    same: Mapping[str, float]
    predicted: float
    in_c: float
    n: int

    @property
    def text(self) -> str:
        return f"{self.network}, {self.scheme}, seed {self.seed}"

    def right(self, way: str) -> np.ndarray:
        """(n,) bool."""
        return unpacked(self.hits[way], self.n)


class Drawn(Figure, kw_only=True):
    """A network with half of its multiply-accumulates in INT8, beside itself.

    metric:       of every score; n: test samples
    macs:         of the original, of the pruned one
    scores:       of FLOAT, PRUNED, LITERT, ONNX, C: the score and its standard error
    worse:        of the same but FLOAT: by how many percent of the original's score it is worse, paired by
                  sample, and the standard error of that
    checked:      test samples that the board answered too;  differing: codes in which it is not the reference
    instructions: of an inference on BOARD, of the unpruned network in INT8, of this one
    flash, ram:   bytes there
    files:        bytes of the .tflite of FLOAT and of LITERT
    """

    network: str
    seed: int
    metric: str
    n: int
    macs: tuple[int, int]
    scores: dict[str, tuple[float, float]]
    worse: dict[str, tuple[float, float]]
    checked: int
    differing: int
    instructions: tuple[int, int]
    flash: int
    ram: int
    files: tuple[int, int]

    @property
    def text(self) -> str:
        return f"{self.network}, seed {self.seed}"
