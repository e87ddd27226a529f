"""What was measured: one frozen record per artefact and device.

Figures that a device does not have are None.
"""

import msgspec


class Latency(msgspec.Struct, frozen=True):
    """Hot latency of one inference, microseconds."""

    median: float
    p90: float
    p99: float


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
    energy_uj:        None wherever no meter was there
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
    energy_uj: float | None = None
    parity: Parity | None = None
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
    """

    metric: str
    value: float
    n: int
    standard_error: float | None
    data: str = ""
    split: str = ""
    device: str = ""
    runtime: str = ""
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
