"""What was measured: one frozen record per artefact and device.

Figures that a device does not have are None.
"""

from typing import Literal

import msgspec

from toolchain.levels import Held


class Latency(msgspec.Struct, frozen=True):
    """Hot latency of one inference, microseconds, of the samples after the warm-up.

    p90, p99:  None where another's program does not tell
    low, high: ends of the median's 95 % confidence interval (block bootstrap); None for too few samples
    samples:   hot ones that the figures are of
    warm_up:   samples before the steady state, left out
    """

    median: float
    p90: float | None = None
    p99: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int = 0
    warm_up: int = 0


class ColdStart(msgspec.Struct, frozen=True):
    """Microseconds that a fresh process takes to load the model, and for its first inference."""

    load: float
    first: float


Tier = Literal["external meter", "rail monitor", "fuel gauge", "model"]
"""How far an energy figure can be trusted, best first."""


class Energy(msgspec.Struct, frozen=True, kw_only=True):
    """Of one inference, microjoules.

    gross_uj:    all that the meter saw between two timestamps, over the inferences (MLPerf Tiny's definition)
    net_uj:      the same less idle power times the window; None where no idle window was taken, or where the
                 difference is within its own uncertainty
    uncertainty: of gross_uj, relative, at 95 % (k = 2): 0.05 is 5 %
    meter:       its kind, never its serial number
    rails:       what it sees: "supply", or names of rails
    idle_mw:     mean power of the idle windows
    net_uncertainty: of net_uj, relative, at 95 % (k = 2)
    note:        what the meter leaves out
    """

    gross_uj: float
    uncertainty: float
    tier: Tier
    meter: str
    rails: tuple[str, ...]
    window_s: float
    inferences: int
    net_uj: float | None = None
    idle_mw: float | None = None
    net_uncertainty: float | None = None
    note: str = ""


class OpTime(msgspec.Struct, frozen=True):
    """An op as the runtime's own profiler times it: its kind in the runtime's words, us an inference."""

    name: str
    kind: str
    us: float


class Sustained(msgspec.Struct, frozen=True):
    """How speed lasts over minutes: the medians of equal windows of time.

    window_s:           length of a window
    medians_us:         of each window in order; None where no inference began in it
    slowdown:           the last steady minute against the first: 0.1 is 10 % slower
    throttled_after_s:  when the device first said that it throttles; None: it never did, or cannot tell
    slower_after_s:     when the windows became slower than the first minute by more than 5 %, to stay so
    """

    window_s: float
    medians_us: tuple[float | None, ...]
    slowdown: float
    throttled_after_s: float | None = None
    slower_after_s: float | None = None


class Parity(msgspec.Struct, frozen=True):
    """The artefact's test vectors on the device against the host's reference.

    checked, mismatched: output codes (or floats)
    worst:               largest difference, in codes for integer outputs, in the output's unit for float ones
    """

    checked: int
    mismatched: int
    worst: float


class ArenaSpan(msgspec.Struct, frozen=True):
    """Bytes `offset` to `offset + bytes` of the arena hold a tensor, or an op's scratch, while the steps
    `first` to `last` run, both included.

    piece: the tensor whose memory it is part of: its own name, or that of what it is a view of
    """

    name: str
    piece: str
    offset: int
    bytes: int
    first: int
    last: int


class ArenaMap(msgspec.Struct, frozen=True):
    """What lies where in the arena of generated C, and when.

    steps: names of the ops, and one more, when outputs are read
    """

    bytes: int
    steps: tuple[str, ...]
    spans: tuple[ArenaSpan, ...]
    schema: str = "edge.arena"
    schema_version: int = 1


class Layer(msgspec.Struct, frozen=True):
    """A step of the network: what it does, and its exact instructions."""

    title: str
    instructions: int


class Function(msgspec.Struct, frozen=True):
    """A function of the image: its exact instructions in one inference, and an estimate of its cycles.

    cycles_estimate: None where the core has no table of costs (device/cycles.py)
    """

    name: str
    instructions: int
    cycles_estimate: int | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage of a chain of files, measured by itself.

    file:            its name
    artifact_digest: of its own measurement, which has all that is known of it
    reached, error:  share of samples that it runs on, and its standard error
    latency_us, instructions, energy: as a Measurement's
    """

    file: str
    artifact_digest: str
    reached: float
    error: float
    latency_us: Latency | None = None
    instructions: int | None = None
    energy: Energy | None = None


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """What an inference of a chain of files is expected to take, of stages that were measured one by one.

    Sums over stages of the share of samples that reach one times its own figure. What decides between stages
    runs on this host, and is not in them.

    stages: those that may run, in order
    n:      test samples that shares are of
    latency_us:   of medians; low, high: of their intervals' ends, which so are no narrower than 95 %
    instructions: where all stages have them;  energy: likewise, its uncertainty the meter's alone
    """

    stages: tuple[Stage, ...]
    n: int
    latency_us: Latency | None = None
    instructions: float | None = None
    energy: Energy | None = None


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One artefact on one device.

    emulated:         the device counts instructions; it has no time and no energy
    conditions:       what the figures hold under: host CPU, threads, runtime version, governor, samples ...
    instructions:     per inference, exact, on an emulated device
    static_bytes:     .data + .bss without arena; stack_bytes: high-water mark
    code_flash_bytes: flash without the weights
    layers:           of the network, in order; together `instructions`
    functions:        of the image, those with most instructions first; together `instructions` and one
    flash_parts:      part of the image -> bytes; together flash_bytes
    runner:           what ran the model on the device: "native", "python", "firmware", "benchmark_model"
    latency_samples_us, cpu_samples_us: wall and CPU time of every inference in order, warm-up included
    cycles:           per inference, by the device's own counter
    peak_rss_bytes:   of the inference process, by the device's kernel (VmHWM)
    ops:              by the runtime's profiler, in order
    energy:           None wherever no meter was there
    problems:         why the figures cannot be trusted, one line each; empty for a valid measurement
    held:             the budget and the level of a chain that was held to one; else None
    staged:           of a chain of files what it is expected to take; the Measurement's own figures are then
                      its worst case, where every stage runs: the sums of all. None of anything else
    """

    artifact: str
    artifact_digest: str
    target: str
    device: str
    emulated: bool
    runtime: str
    conditions: dict[str, str | int | float | bool | None] = {}
    instructions: int | None = None
    latency_us: Latency | None = None
    latency_samples_us: list[float] = []
    arena_bytes: int | None = None
    static_bytes: int | None = None
    stack_bytes: int | None = None
    flash_bytes: int | None = None
    code_flash_bytes: int | None = None
    peak_rss_bytes: int | None = None
    layers: tuple[Layer, ...] = ()
    functions: tuple[Function, ...] = ()
    flash_parts: dict[str, int] = {}
    runner: str = ""
    cold_us: ColdStart | None = None
    cpu_samples_us: list[float] = []
    cycles: int | None = None
    ops: tuple[OpTime, ...] = ()
    energy: Energy | None = None
    sustained: Sustained | None = None
    problems: tuple[str, ...] = ()
    parity: Parity | None = None
    held: Held | None = None
    staged: Staged | None = None
    started_at: str = ""
    schema: str = "edge.measurement"
    schema_version: int = 1

    @property
    def cycles_estimate(self) -> int | None:
        """Of one inference: what the functions' estimates add up to."""
        estimates = [function.cycles_estimate for function in self.functions]
        return None if not estimates or None in estimates else sum(estimates)


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """How good an artefact's answers are on a labelled set, or how often they agree with the float model's.

    value:          mean over n samples; a share in [0, 1] for top1 and agreement
    standard_error: of that mean, None for a single sample
    emulated, held: as a Measurement's
    data:           the set's name; of a file or folder the last part, for a path names people
    """

    metric: str
    value: float
    n: int
    standard_error: float | None
    data: str = ""
    split: str = ""
    device: str = ""
    emulated: bool = False
    runtime: str = ""
    artifact_digest: str = ""
    held: Held | None = None
    schema: str = "edge.evaluation"
    schema_version: int = 1


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a report: a model on a target.

    note: why figures are missing ("does not fit: ...")
    """

    model: str
    target: str
    format: str = ""
    scheme: str = ""
    size_bytes: int | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    quality: tuple[Evaluation, ...] = ()
    measurement: Measurement | None = None
    note: str = ""
