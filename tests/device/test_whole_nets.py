"""Whole random networks on every emulated core, by its machine's kernels, against the reference."""

import numpy as np
import pytest

from tests.coded_nets import coded_net
from tests.device.trials import Trial, images, run_trials, trial
from toolchain.profile import TargetProfile, load_target, target_names
from toolchain.runtime import reference

BOARDS = [name for name in target_names() if load_target(name).emulated]
FIRST, COUNT = 500, 60
LARGEST_ARENA = 6_000
"""Bytes: what the smallest board holds beside the firmware's own RAM."""


def trials(profile: TargetProfile) -> list[Trial]:
    """Those of COUNT networks that the arena holds."""
    found: list[Trial] = []
    for number in range(FIRST, FIRST + COUNT):
        net = coded_net(number)
        feeds = {name: np.ascontiguousarray(value[:1]) for name, value in net.feeds.items()}
        one = trial(net.graph, feeds, reference.run(net.graph, feeds), profile, len(found))
        found += [one] if one.source.arena_bytes <= LARGEST_ARENA else []
    return found


@pytest.mark.emulated
@pytest.mark.parametrize("board", BOARDS)
def test_the_core_gives_the_references_codes(board):
    profile = load_target(board)
    made = trials(profile)
    assert len(made) > COUNT // 2
    for image in images(made, profile.flash_bytes // 2):
        assert not run_trials(image, profile).wrong
