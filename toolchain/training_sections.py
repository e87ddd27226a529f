"""Sections of a recipe that make the float network smaller, and train it again."""

from collections.abc import Mapping
import re
from typing import Annotated, ClassVar, Literal

import msgspec

from toolchain.errors import BadConfig
from toolchain.section import Amount, Fraction, Importance, Positive, PositiveFloat, Section, Share, bytes_of

BUDGETS = ("ratio", "macs", "parameters", "flash", "ram", "latency_us", "instructions")
"""What a pruned network may take: keys of [prune]."""
TWO_OF_FOUR, BLOCK = "2:4", re.compile(r"([1-9]\d{0,3})x([1-9]\d{0,3})")
"""What SparsifyConfig.pattern may be."""
NO_CHOICE: Mapping[str, tuple] = {"scope": ("global",), "schedule": ("one_shot",), "blocks": (False,)}
CHOOSES: Mapping[str, Mapping[str, tuple]] = {
    "gates": {"importance": ("auto",), "scope": ("global",), "blocks": (False,)},
    "batch_norm_l1": {"importance": ("auto", "batch_norm"), "blocks": (False,)}}
"""Schedule of [prune] that chooses itself what goes -> keys of other choices: values that ask for none."""
MOMENTUM, TEMPERATURE, BETA = 0.9, 4.0, 1.0
OF_CLASSES: Mapping[str, tuple] = {"temperature": (TEMPERATURE,), "label_smoothing": (0,)}
"""Keys of [train] that are about classes: values that ask for nothing."""


class PruneConfig(Section):
    """Structured pruning: whole channels go, and shapes shrink.

    One budget or more is given, or `shares`; all are kept. Below 1 a budget is a share of what the unpruned
    network takes, else an amount:
    ratio:         share of the prunable channels that go
    macs, parameters
    flash, ram:    bytes, or text such as "256kB"; of the INT8 network as C, where the target takes C, else of
                   its file
    latency_us, instructions: on the target, from its measured table
    shares:        instead of budgets: op or group, or a pattern -> share of the channels that goes, whether
                   that pays or not; a group's own name counts, else the first pattern that names it
    importance:    a key of prune.importance.IMPORTANCE; "auto" = "l2" without samples; "taylor" with them,
                   "fisher" where blocks are weighed against channels; where outputs are numbers without
                   labels, so that the network is held against itself, "hessian" and "perturbation"
    scope:         "global" = one ranking of all groups; "layer" = the same share of each group;
                   "sensitivity" = of each group as much as a scan says it can spare
    schedule:      "one_shot"; "iterative" = in equal steps, tuned after each; "gradual" = in steps that get
                   smaller (Zhu & Gupta 2017); "batch_norm_l1" = after tuning with an L1 penalty on the
                   scales of batch norms (Liu et al. 2017); "gates" = what gates that are learned leave
                   (Louizos et al. 2018)
    steps:         of the iterative and the gradual schedule
    blocks:        whole residual branches may go too
    heads:         whole heads of attention go, and whole groups of convolutions, where by default the same
                   channels of each do
    keep:          ops whose channels all stay: names or patterns such as "head.*"
    channel_multiple: keep multiples of this; by default, what the target's measured table favours; 1 = no
                   rounding
    reestimate_batch_norm: recompute running statistics on calibration samples after each step
    """

    heading: ClassVar[str] = "prune"
    ratio: Fraction | None = None
    macs: Amount | None = None
    parameters: Amount | None = None
    flash: Amount | str | None = None
    ram: Amount | str | None = None
    latency_us: Amount | None = None
    instructions: Amount | None = None
    shares: dict[str, Fraction] = {}
    importance: Importance | Literal["auto"] = "auto"
    scope: Literal["global", "layer", "sensitivity"] = "global"
    schedule: Literal["one_shot", "iterative", "gradual", "batch_norm_l1", "gates"] = "one_shot"
    steps: Positive = 5
    blocks: bool = False
    heads: bool = False
    keep: tuple[str, ...] = ()
    channel_multiple: Positive | None = None
    reestimate_batch_norm: bool = True

    def __post_init__(self):
        if not self.budgets and not self.shares:
            raise BadConfig(f"[prune] has no budget; give one or more of {', '.join(BUDGETS)}")
        if self.shares:
            self._require_no_choice()
        idle = asked(self, CHOOSES.get(self.schedule, {}))
        if idle:
            raise BadConfig(f'[prune] schedule = "{self.schedule}" chooses by itself what goes, where {idle} '
                            f'would do nothing; leave it out, or take schedule "iterative"')

    def _require_no_choice(self) -> None:
        """Raise BadConfig where something else than `shares` would say how much goes."""
        if idle := asked(self, dict.fromkeys(BUDGETS, (None,)) | NO_CHOICE):
            raise BadConfig(f"[prune] shares say how much goes of each group, where {idle} would do nothing; "
                            f"leave it out, or shares")

    @property
    def budgets(self) -> Mapping[str, float]:
        """Those of BUDGETS that are given: below 1 a share, else an amount. Of a ratio, the share that goes.
        """
        given = {name: getattr(self, name) for name in BUDGETS if getattr(self, name) is not None}
        return {name: bytes_of(f"[prune] {name}", limit) if isinstance(limit, str) else limit
                for name, limit in given.items()}


def asked(section: Section, nothing: Mapping[str, tuple]) -> str:
    """Those of its keys that have another value than one that asks for nothing."""
    return ", ".join(name for name, values in nothing.items() if getattr(section, name) not in values)


class SparsifyConfig(Section):
    """Unstructured pruning: single weights become zero, and shapes stay.

    Exactly one of these says which:
    sparsity:  share of the weights that become zero
    threshold: weights of less than this magnitude become zero
    pattern:   "2:4" = two of four neighbours along a row; "1x4", "4x1", ... = whole blocks of rows x columns,
               with `sparsity`
    scope:     "tensor" = the same share of each tensor; "global" = one threshold for all
    schedule:  "one_shot"; "gradual" (Zhu & Gupta 2017) and "movement" (Sanh et al. 2020) while [train] tunes
    keep:      ops whose weights all stay: names or patterns
    """

    heading: ClassVar[str] = "sparsify"
    sparsity: Fraction | None = None
    threshold: PositiveFloat | None = None
    pattern: str = ""
    scope: Literal["tensor", "global"] = "global"
    schedule: Literal["one_shot", "gradual", "movement"] = "one_shot"
    keep: tuple[str, ...] = ()

    def __post_init__(self):
        given = [name for name in ("sparsity", "threshold") if getattr(self, name) is not None]
        if self.pattern not in ("", TWO_OF_FOUR) and not BLOCK.fullmatch(self.pattern):
            raise BadConfig(f'[sparsify] pattern = "{self.pattern}" is unknown; give "{TWO_OF_FOUR}", or a '
                            f'block of rows x columns such as "1x4"')
        if self.pattern == TWO_OF_FOUR and given:
            raise BadConfig(f'[sparsify] pattern = "{TWO_OF_FOUR}" is half of the weights; leave out '
                            f"{' and '.join(given)}")
        if BLOCK.fullmatch(self.pattern) and given != ["sparsity"]:
            raise BadConfig(f'[sparsify] pattern = "{self.pattern}" has {" and ".join(given) or "no share"}; '
                            f"give sparsity alone")
        if not self.pattern and len(given) != 1:
            raise BadConfig(f"[sparsify] has {' and '.join(given) or 'no amount'}; give exactly one of "
                            f"sparsity, threshold")
        if self.scope == "tensor" and self.sparsity is None:
            what = f'pattern = "{self.pattern}"' if self.pattern else "threshold"
            raise BadConfig(f'[sparsify] {what} is the same for all tensors, where scope would do nothing; '
                            f'leave it out, or give sparsity')
        if self.schedule != "one_shot" and self.sparsity is None:
            raise BadConfig(f'[sparsify] schedule = "{self.schedule}" leads to a share of the weights; give '
                            f"sparsity")

    @property
    def block(self) -> tuple[int, int]:
        """Rows and columns of what becomes zero together."""
        found = BLOCK.fullmatch(self.pattern)
        return (int(found[1]), int(found[2])) if found else (1, 1)


class ClusterConfig(Section):
    """Weights of each op take few values, which training moves (Han et al. 2016); shapes stay.

    clusters: values at most of each weight tensor. Weights that are 0 stay so: a value of its own
    keep:     ops whose weights stay as they are: names or patterns
    """

    heading: ClassVar[str] = "cluster"
    clusters: Annotated[int, msgspec.Meta(ge=2, le=256)] = 16
    keep: tuple[str, ...] = ()


class TrainConfig(Section):
    """Training of the float graph on labels, and by a teacher: the unpruned network, or another one.

    epochs:        passes over the training samples
    batch_size
    learning_rate: the highest one; it falls along a cosine
    warm_up:       share of the steps in which it rises to there first
    optimizer:     "adamw" (Loshchilov & Hutter 2019) or "sgd" with Nesterov's momentum
    momentum:      of sgd
    weight_decay:  of weights, not of biases and norms
    alpha:         share of the distillation loss; 1 - alpha goes to the labels (without labels, it gets all)
    temperature:   of the soft labels (Hinton et al. 2015)
    teacher:       MODEL, as the command line takes one: another network of the same task that teaches instead
    features:      student's tensor -> teacher's, or names that both have: what these hold is taught too
    transfer:      how: "fitnets" = mean squared error, through a learned 1x1 adapter where channels differ
                   (Romero et al. 2015); "attention" = of where activations are large (Zagoruyko & Komodakis
                   2017)
    beta:          weight of that, beside the mixture of labels and soft labels
    label_smoothing: share of a label that all classes get
    average:       decay of an exponential moving average of the weights, kept in their place; 0: none
    patience:      epochs without a better score on selection samples after which it stops, with the best
                   weights; 0: all epochs, with the last
    loss:          file.py:function of the user's own: (outputs by name, y) -> (n,) losses, instead of the
                   labels' loss
    loader:        file.py:function of the user's own: (epoch, seed) -> batches (feeds by name, y or None),
                   instead of batches of the training samples; the teacher sees what it gives
    """

    heading: ClassVar[str] = "train"
    epochs: Positive
    batch_size: Positive = 64
    learning_rate: PositiveFloat = 1e-3
    warm_up: Fraction = 0.0
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: Fraction = MOMENTUM
    weight_decay: Share = 0.0
    alpha: Share = 0.5
    temperature: PositiveFloat = TEMPERATURE
    teacher: str = ""
    features: dict[str, str] | tuple[str, ...] = ()
    transfer: Literal["fitnets", "attention"] = "fitnets"
    beta: PositiveFloat = BETA
    label_smoothing: Fraction = 0.0
    average: Fraction = 0.0
    patience: Annotated[int, msgspec.Meta(ge=0)] = 0
    loss: str = ""
    loader: str = ""

    def __post_init__(self):
        if self.optimizer == "adamw" and self.momentum != MOMENTUM:
            raise BadConfig(f'[{self.heading}] momentum is of optimizer = "sgd"; leave it out, or take that')
        if self.loss and self.label_smoothing:
            raise BadConfig(f"[{self.heading}] loss = {self.loss} takes the place of the labels' loss, where "
                            f"label_smoothing would do nothing; leave it out")
        if self.alpha == 1 and (idle := asked(self, {"loss": ("",), "label_smoothing": (0,)})):
            raise BadConfig(f"[{self.heading}] alpha = 1 leaves all to the teacher, where {idle} would do "
                            f"nothing; leave it out, or lower alpha")
        if not all(name for pair in self.feature_pairs for name in pair):
            raise BadConfig(f"[{self.heading}] features names no tensor: {self.features}; give names")
        if not self.features and (idle := asked(self, {"transfer": ("fitnets",), "beta": (BETA,)})):
            raise BadConfig(f"[{self.heading}] {idle} would do nothing without features; name the tensors "
                            f"whose activations are taught, or leave it out")
        if self.alpha == 0 and not self.features and self.teacher:
            raise BadConfig(f"[{self.heading}] alpha = 0 leaves all to the labels, where teacher = "
                            f"{self.teacher} would do nothing; leave it out, raise alpha, or name features")

    @property
    def feature_pairs(self) -> tuple[tuple[str, str], ...]:
        """Of `features`: the student's tensor, the teacher's."""
        names = self.features
        return tuple(names.items()) if isinstance(names, dict) else tuple(zip(names, names))


class EarlierConfig(Section):
    """A step before [prune] and [train]: pruned, then trained. Each goes on from the weights that the one
    before has left (Elsken et al. 2019, "Efficient Multi-Objective Neural Architecture Search via Lamarckian
    Evolution").

    prune: by shares. What the network came with they are of, in each step; what is gone is gone
    """

    heading: ClassVar[str] = "earlier"
    train: TrainConfig
    prune: PruneConfig | None = None

    def __post_init__(self):
        if self.prune and not self.prune.shares:
            raise BadConfig("[[earlier]] prune has a budget; give shares, of the channels that are gone of "
                            "each group after the step")


class QatConfig(TrainConfig):
    """Quantization-aware training: the float graph is trained as its codes compute, taught by itself in
    float. Keys are those of [train] but for teacher and features, and

    ranges: "fixed" = those that calibration found, of weights what their largest values give; "learned" = of
            activations and of each channel of weights, from these on (LSQ, Esser et al. 2020), with the same
            learning_rate: their scales' logarithms move by it
    """

    heading: ClassVar[str] = "qat"

    ranges: Literal["fixed", "learned"] = "learned"

    def __post_init__(self):
        super().__post_init__()
        if theirs := asked(self, {"teacher": ("",), "features": ((),)}):
            raise BadConfig(f"[qat] learns from what the network itself answers in float; {theirs} is of "
                            f"[train]")
