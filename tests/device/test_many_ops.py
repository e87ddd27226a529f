"""500 random ops on every emulated core, by the kernels that its machine gets, against the reference."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.device.trials import Trial, images, run_trials, trial
from tests.many_ops import drawn, merged
from tests.op_maker import Case
from toolchain.profile import TargetProfile, load_target, target_names
from toolchain.runtime import reference

BOARDS = [name for name in target_names() if load_target(name).emulated]
COUNT = 500
LARGEST_ARENA = 6_000
"""Bytes: what the smallest board holds beside the firmware's own RAM."""


def cases() -> Iterator[Case]:
    """COUNT small ones, from where the host's cases end."""
    number, found = 20_000, 0
    while found < COUNT:
        case = drawn(number)
        number += 1
        if sum(t.size for t in case.graph.activations) < LARGEST_ARENA // 2:
            found += 1
            yield case


def groups() -> Iterator[list[Case]]:
    """Cases whose inputs and outputs have room side by side."""
    group, used = [], 0
    for case in cases():
        size = sum(t.size + 32 for t in case.graph.activations)
        if group and used + size > LARGEST_ARENA:
            yield group
            group, used = [], 0
        group.append(case)
        used += size
    yield group


def trials(profile: TargetProfile) -> Iterator[Trial]:
    for number, group in enumerate(groups()):
        graph, feeds = merged(group, f"group{number}")
        feeds = {name: np.ascontiguousarray(value[:1]) for name, value in feeds.items()}
        yield trial(graph, feeds, reference.run(graph, feeds), profile, number)


@pytest.mark.emulated
@pytest.mark.parametrize("board", BOARDS)
def test_the_core_gives_the_references_codes(board):
    profile = load_target(board)
    made, together = [*trials(profile)], [*groups()]
    for image in images(made, profile.flash_bytes // 2):
        wrong = [together[number][output].name for number, output in run_trials(image, profile).wrong]
        assert not wrong
