"""Points of a search: values of its variables, and the recipes that they stand for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_origin, get_type_hints

import msgspec

from toolchain.errors import BadConfig
from toolchain.recipe import Recipe
from toolchain.search.trial import Trial
from toolchain.search_section import SearchConfig, Value, Variable
from toolchain.training_sections import BUDGETS, EarlierConfig

Point = Mapping[str, Value]
"""Variable -> its value."""
SHARES, RESOLUTION = "prune.shares.", "scale.resolution"
CUTS = ("prune.", "low_rank.", "sparsify.", "cluster.")
"""Keys that make a network smaller."""
NOTHING: Mapping[str, Mapping[str, Value]] = {
    "scale": {"resolution": 1},
    "prune": {"ratio": 0, **dict.fromkeys(BUDGETS[1:], 1)},
    "low_rank": dict.fromkeys(("macs", "parameters", "latency_us", "instructions"), 1),
    "sparsify": {"sparsity": 0}, "cluster": {"clusters": 0}, "train": {"epochs": 0}, "qat": {"epochs": 0}}
"""Section -> its keys: the value with which the section does nothing, and is left out."""
NOT_VARIED = {"train.epochs": "says how long the last rung trains, and [search] rungs how long the others do"}
"""Keys that a variable cannot set, and why."""


@dataclass(frozen=True, eq=False)
class Space:
    """base: the recipe that all points are variants of. Raises BadConfig for a key that no recipe has, or
    that two variables would set."""

    base: Recipe
    variables: Mapping[str, Variable]

    def __post_init__(self):
        if self.base.earlier:
            raise BadConfig(f"the recipe has {len(self.base.earlier)} [[earlier]] steps; a search finds such "
                            f"by itself: start it from a recipe without")
        if self.base.widths:
            raise BadConfig("[widths] makes several networks, and a search weighs recipes of one; leave "
                            "[widths] out, and build what is found with it")
        setters: dict[str, str] = {}
        for name, variable in self.variables.items():
            for key in variable.of or (name,):
                _require_key(name, key)
                if key in setters:
                    raise BadConfig(f"[search] {name}: '{key}' is what {setters[key]} sets too; name it once")
                setters[key] = name

    def recipe(self, point: Point, epochs: int | None = None) -> Recipe:
        """What the point stands for. epochs: of [train] instead, where there is one; 0: none, nor of [qat]

        Raises BadConfig where its values do not go together.
        """
        raw = msgspec.to_builtins(self.base)
        raw.pop("search")
        for name, value in point.items():
            for key in self.variables[name].of or (name,):
                _set(raw, key, value)
        if epochs is not None and raw.get("train"):
            raw["train"]["epochs"] = epochs
        if epochs == 0:
            raw["qat"] = None
        try:
            return msgspec.convert(_without_idle(raw), Recipe)
        except msgspec.ValidationError as error:
            raise BadConfig(f"[search] {dict(point)}: {error}") from None

    @property
    def shares(self) -> dict[str, Variable]:
        """The variables that say how much of some groups' channels goes, and nothing else."""
        return {name: variable for name, variable in self.variables.items()
                if all(key.startswith(SHARES) for key in variable.of or (name,))}

    @property
    def resolution(self) -> str | None:
        """The variable that sets it."""
        return next((name for name, variable in self.variables.items()
                     if RESOLUTION in (variable.of or (name,))), None)

    @property
    def inherits(self) -> bool:
        """Whether a point can go on from the weights that another was trained to: all are trained, and shares
        alone make them smaller."""
        others = [key for name, variable in self.variables.items() if name not in self.shares
                  for key in variable.of or (name,)]
        base, prune = self.base, self.base.prune
        return bool(base.train and base.search.rungs == 1 and not (prune and prune.budgets)
                    and not (base.low_rank or base.sparsify or base.cluster)
                    and not any(key.startswith(CUTS) and key != "prune.importance" for key in others))

    @property
    def epochs(self) -> tuple[int | None, ...]:
        """Of [train], rung by rung; None where there is none."""
        return self.base.search.epochs(self.base.train.epochs) if self.base.train else (None,)

    def recipe_of(self, trial: Trial, trials: Sequence[Trial]) -> Recipe:
        """What a trial builds. Raises BadConfig where its point contradicts itself. trials: all, by number"""
        own = self.recipe(trial.point, self.epochs[trial.rung])
        if trial.of is None or trial.rung:
            return own
        parent = self.recipe_of(trials[trial.of], trials)
        step = EarlierConfig(train=parent.train, prune=parent.prune)
        return msgspec.structs.replace(own, earlier=(*parent.earlier, step))

    def start(self) -> dict[str, Value]:
        """The base's own values, where a variable may have them; else the first choice, or the low end."""
        raw = msgspec.to_builtins(self.base)
        return {name: _nearest(variable, _get(raw, (variable.of or (name,))[0]))
                for name, variable in self.variables.items()}


def _require_key(name: str, key: str) -> None:
    if key in NOT_VARIED:
        raise BadConfig(f"[search] {name}: '{key}' {NOT_VARIED[key]}")
    section, field, entry = _parts(key)
    kind = _section(section)
    if kind is None or field not in kind.__struct_fields__:
        known = "a section and a key, as in \"prune.ratio\"" if kind is None else \
            f"[{section}] has {', '.join(kind.__struct_fields__)}"
        raise BadConfig(f"[search] {name}: no recipe has the key '{key}': {known}")
    if bool(entry) != _is_table(kind, field):
        raise BadConfig(f"[search] {name}: '{section}.{field}' is {'a table: name' if not entry else 'no'} "
                        f"{'one of its keys' if not entry else 'table'}")


def _parts(key: str) -> tuple[str, str, str]:
    """ "prune.shares.block.0" -> ("prune", "shares", "block.0")."""
    section, _, rest = key.partition(".")
    field, _, entry = rest.partition(".")
    return section, field, entry


def _section(name: str) -> type | None:
    hint = get_type_hints(Recipe).get(name)
    return next((kind for kind in (hint, *getattr(hint, "__args__", ()))
                 if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
                 and kind not in (SearchConfig, EarlierConfig)), None)


def _is_table(kind: type, field: str) -> bool:
    hint = get_type_hints(kind)[field]
    return dict in map(get_origin, (hint, *getattr(hint, "__args__", ())))


def _set(raw: dict, key: str, value: Value) -> None:
    section, field, entry = _parts(key)
    place = raw[section] = raw.get(section) or {}
    if entry:
        place[field] = {**(place.get(field) or {}), entry: value}
    else:
        place[field] = value


def _get(raw: Mapping, key: str) -> Value | None:
    section, field, entry = _parts(key)
    found = (raw.get(section) or {}).get(field)
    return (found or {}).get(entry) if entry else found


def _nearest(variable: Variable, own: Value | None) -> Value:
    if variable.is_range:
        number = isinstance(own, int if variable.whole else int | float) and not isinstance(own, bool)
        return min(max(own if number else variable.low, variable.low), variable.high)
    return own if own in variable.choices else variable.choices[0]


def _without_idle(raw: dict) -> dict:
    """Without what asks for nothing: budgets of a whole network, no share, no epochs, no island."""
    for section, idle in NOTHING.items():
        if own := raw.get(section):
            stated = {key: value for key, value in own.items() if idle.get(key) != value or value is None}
            _drop_empty(stated, "shares")
            asks = any(stated.get(key) is not None for key in idle) or stated.get("shares")
            raw[section] = stated if asks or stated == own else None
    _drop_empty(raw["quantize"], "islands")
    return raw


def _drop_empty(section: dict, table: str) -> None:
    """Entries of a table of the section that are 0 or ""."""
    if table in section:
        section[table] = {key: value for key, value in section[table].items() if value}


def stages(names: list[str], most: int) -> Iterator[tuple[str, ...]]:
    """Neighbours together, `most` sets of about the same size at most, in order."""
    count = min(most, len(names))
    for number in range(count):
        first, last = (len(names) * end // count for end in (number, number + 1))
        yield tuple(names[first:last])
