"""The figures of benchmark_training.py, but for those of pruned networks, which are pruning_figures.py's."""

from collections.abc import Mapping

from figures import Figure, unpacked
import msgspec
import numpy as np

LABELS, ANSWERS, FITNETS, ATTENTION = ("labels", "labels, answers", "labels, answers, fitnets",
                                       "labels, answers, attention")
BETTER = "labels, answers of a better teacher"
"""What a student learns from."""
FLOAT, NEAREST, DEFAULT, LEARNED = "float", "nearest codes", "biases corrected", "`[qat]`, ranges learned"
"""Ways of quantizing that bounds are about."""


class Student(msgspec.Struct, frozen=True):
    """Which network is pruned, and what it learns from afterwards; the seed of samples and training."""

    network: str
    way: str
    seed: int

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
    """

    network: str
    scheme: str
    seed: int
    hits: Mapping[str, str]
    same: Mapping[str, float]
    predicted: float
    n: int

    @property
    def text(self) -> str:
        return f"{self.network}, {self.scheme}, seed {self.seed}"

    def right(self, way: str) -> np.ndarray:
        """(n,) bool."""
        return unpacked(self.hits[way], self.n)
