"""Every meter of these against an emulator with known energy: error, and how often what is stated covers it.

A square wave at the inference rate, idle floor, noise, losses, latency, clock offset and skew are in every
case; the table of more cases is `python -m tests.device.meters.emulated`.
"""

import numpy as np
import pytest

from tests.device.meters.emulated import EMULATED

CASES = {"charge_counter": 10, "power_supply": 20, "pmic": 20, "hwmon": 20, "joulescope": 20}
"""Those whose windows are long are asked for less often."""


@pytest.fixture(scope="module", params=EMULATED)
def outcomes(request):
    """(without errors of gain and offset, with them)"""
    seeds = range(CASES.get(request.param, 40))
    return [[EMULATED[request.param](np.random.default_rng([seed, perfect]), perfect) for seed in seeds]
            for perfect in (True, False)]


def test_a_meter_without_error_of_its_own_is_within_1_percent(outcomes):
    assert max(abs(one.error) for one in outcomes[0]) <= 0.01


def test_what_is_stated_covers_the_truth_in_95_percent_of_cases_and_is_no_more_than_5(outcomes):
    cases = outcomes[0] + outcomes[1]
    assert np.mean([one.covered for one in cases]) >= 0.95
    assert max(one.energy.uncertainty for one in cases) <= 0.05


def test_what_is_stated_of_the_net_energy_covers_it_too(outcomes):
    cases = outcomes[0] + outcomes[1]
    assert np.mean([one.net_covered for one in cases]) >= 0.95
    assert np.mean([one.energy.net_uj is not None for one in cases]) >= 0.9


def test_the_injected_errors_are_not_nothing(outcomes):
    """Else coverage would say nothing: errors of calibration are seen, what is stated is not far above."""
    errors = [abs(one.error) for one in outcomes[1]]
    stated = np.median([one.energy.uncertainty for one in outcomes[1]])
    assert max(errors) > 0.25 * stated
