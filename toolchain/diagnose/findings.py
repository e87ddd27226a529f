"""What a diagnosis finds: plain records, as `edge diagnose --json` prints them.

Ratios of signal to noise are in dB, averaged over samples (`paired.sqnr_db`).
"""

import msgspec

from toolchain.metric import Score


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of the parity ladder beside the one it is judged by.

    worst:     largest difference: a share of the output's range, or codes where `unit` says so
    differing: share of the values, or codes, that are not the same
    allowed:   the tolerance in words, with its reason
    passed:    None where the rung does not apply; `note` says why
    note:      of a failure, the tensor where it begins
    """

    rung: str
    against: str = ""
    worst: float | None = None
    unit: str = ""
    sqnr_db: float | None = None
    differing: float | None = None
    allowed: str = ""
    passed: bool | None = None
    note: str = ""


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One op's output, quantized beside float.

    sqnr_db:    as it is in the network, with all noise from before
    cosine:     of the same two, over all samples
    local_db:   the op alone: float inputs rounded to their codes, its integer kernel, its float output
    output_db:  of the network's output when only this op is quantized; None where it hands codes on
    codes_used: share of the codes that occur
    range_used: width of the float values by the width that the codes reach
    saturated:  share of the float values beyond the codes' reach
    channels, dead: how many, and how many of them never change over the samples
    spread:     the widest channel's range by the median one's, dead ones aside; `widest` is its index
    starved:    share of the channels, dead ones aside, that get fewer than 16 codes
    tail:       largest distance from the mean, in standard deviations
    weight_db:  of the weights; `worst_weight` is the output channel with the least
    repaired:   output channels whose weights' scale was raised because the bias would have overflowed
    """

    name: str
    kind: str
    sqnr_db: float
    cosine: float
    local_db: float
    output_db: float | None = None
    codes_used: float
    range_used: float
    low: float
    high: float
    code_low: float
    code_high: float
    saturated: float
    channels: int
    dead: int
    spread: float
    widest: int
    starved: float
    tail: float
    weight_db: float | None = None
    worst_weight: int | None = None
    repaired: int = 0


class Remedy(msgspec.Struct, frozen=True):
    """What to try, and the lines of recipe.toml that do it ("" where it is not the recipe's to do)."""

    text: str
    toml: str = ""


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """An op to blame, the worst first.

    share:      of the noise at the network's output, were the ops' noises independent
    weights_db: of the network's output when only its weights are quantized; None without weights
    codes_db:   the same when only its output is
    """

    name: str
    kind: str
    output_db: float
    share: float
    weights_db: float | None
    codes_db: float | None
    causes: tuple[str, ...]
    remedies: tuple[Remedy, ...]


class ClassDrop(msgspec.Struct, frozen=True):
    """Of one class: how often float and INT8 are right on its n samples, with the drop's standard error."""

    label: str
    n: int
    float_top1: float
    quantized_top1: float
    standard_error: float


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Answers of INT8 beside float's on the same samples.

    sqnr_db:       of the logits
    flipped:       share of the predictions that are another class than float's
    top1:          float's and INT8's, None without labels; drop in percent points with its standard error
    p:             of McNemar's exact test that the drop is chance
    only_float, only_quantized: samples that just one of them has right
    ece:           expected calibration error of float and INT8
    classes:       largest drop first
    """

    n: int
    sqnr_db: float
    flipped: float
    flipped_error: float
    float_top1: Score | None = None
    quantized_top1: Score | None = None
    drop: float | None = None
    drop_error: float | None = None
    p: float | None = None
    only_float: int | None = None
    only_quantized: int | None = None
    float_ece: float | None = None
    quantized_ece: float | None = None
    classes: tuple[ClassDrop, ...] = ()


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Everything found about one model.

    quantized: what INT8 is: our own by the recipe, or a file
    split, n:  the samples that it was judged by
    """

    model: str
    quantized: str
    data: str
    split: str
    n: int
    ladder: tuple[Step, ...]
    layers: tuple[Layer, ...]
    suspects: tuple[Suspect, ...]
    quality: Quality
    notes: tuple[str, ...] = ()
    schema: str = "edge.diagnosis"
    schema_version: int = 1
