"""The figures of benchmark_pruning.py."""

from collections.abc import Mapping

from figures import Conditions, Figure, unpacked
import msgspec
import numpy as np

BOARD, HOST = "cortex_m4_qemu", "host"
UNPRUNED, OURS, ON_HOST, PLAIN = "unpruned", "ours", "ours, for the host", "ours, no rounding"
ROUNDED_FOR: Mapping[str, str | None] = {OURS: BOARD, ON_HOST: HOST, PLAIN: None}
"""Our sides: the target whose kernels say what kept channels are a multiple of."""
NARROW = "a tenth of each group, untrained"
"""The least that there can be, for what a target gains at most."""
THEIRS: Mapping[str, str] = {
    "Torch-Pruning, magnitude": "magnitude", "Torch-Pruning, LAMP": "lamp",
    "Torch-Pruning, batch norm": "batch_norm", "Torch-Pruning, Taylor": "taylor",
    "Torch-Pruning, Hessian": "hessian"}
"""Their sides: a key of prune_theirs.CRITERIA."""
SIDES = (*ROUNDED_FOR, *THEIRS)
SHARES = (0.5, 0.25)
GAIN, MARGIN = 0.8, 0.97
"""Of the MACs' ratio, what a target is to gain; of that limit, what is asked for, as a table may be off."""


class Cell(msgspec.Struct, frozen=True):
    """Who prunes which network to what share of its MACs; the seed of samples and training."""

    network: str
    side: str
    share: float
    seed: int

    @property
    def unpruned(self) -> "Cell":
        """What it is held against."""
        return Cell(self.network, UNPRUNED, 1.0, self.seed)

    @property
    def text(self) -> str:
        return f"{self.network}, {self.side}, {self.share:g} of the MACs, seed {self.seed}"


class OfCell(Figure, kw_only=True):
    """What was found of a cell."""

    cell: Cell

    @property
    def text(self) -> str:
        return self.cell.text


class Failed(OfCell, kw_only=True):
    """Where there is no such network."""

    why: str


class Tuned(OfCell, kw_only=True):
    """A cell's network after training.

    macs:            of the unpruned network, of this one
    selection, test: share of those samples that it has right, in float;  hits: on each test sample, packed
    n:               test samples
    graph:           its file
    """

    macs: tuple[int, int]
    parameters: int
    selection: float
    test: float
    hits: str
    n: int
    graph: str

    @property
    def right(self) -> np.ndarray:
        """(n,) bool."""
        return unpacked(self.hits, self.n)


class Deployed(OfCell, kw_only=True):
    """The same as INT8, by the default recipe: LiteRT's answers, bytes, exact instructions of an inference on
    BOARD. file: .tflite"""

    test: float
    file: str
    file_bytes: int
    flash: int
    ram: int
    instructions: int


class Timed(OfCell, kw_only=True):
    """That file beside the unpruned network's, in LiteRT on one thread of this host.

    ms:     CPU time of an inference, of the cell's, of the unpruned network's: medians
    ratio:  of the two, median over processes;  lowest, highest: of single processes
    """

    ms: tuple[float, float]
    ratio: float
    lowest: float
    highest: float


class Correlated(Figure, kw_only=True):
    """Rank correlation of each criterion with what masking each channel does to the loss of the same samples.

    ranks: criterion -> Spearman's, Kendall's over all channels, and their means over groups
    """

    network: str
    ranks: dict[str, tuple[float, float, float, float]]

    @property
    def text(self) -> str:
        return self.network


Measured = Failed | Tuned | Deployed | Timed | Correlated | Conditions
