"""What the user needs, as the command line says it."""

import re

import pytest

from toolchain.errors import BadInput
from toolchain.search.needs import Limit, Needs, needs_of, parse_limit, require_told


@pytest.mark.parametrize("text, quantity, most", [
    ("ram<=64kB", "ram", 64_000), ("flash <= 0.5MiB", "flash", 2**19), ("ram<=4096", "ram", 4096),
    ("ram<=4096B", "ram", 4096), ("instructions<=5M", "instructions", 5e6),
    (" instructions <= 1.5 G ", "instructions", 1.5e9), ("instructions<=20k", "instructions", 2e4),
    ("latency_ms<=12.5", "latency_ms", 12.5), ("energy_uj<=.5", "energy_uj", 0.5),
    ("accuracy_drop<=1.0", "accuracy_drop", 1.0), ("accuracy_drop<=0", "accuracy_drop", 0.0)])
def test_a_limit_is_read(text, quantity, most):
    assert parse_limit(text) == Limit(quantity, most)


@pytest.mark.parametrize("text, told", [
    ("ram<64kB", '--limit ram<64kB: give QUANTITY<=NUMBER, as in "ram<=64kB" or "instructions<=5M"'),
    ("ram<=-1", '--limit ram<=-1: give QUANTITY<=NUMBER, as in "ram<=64kB" or "instructions<=5M"'),
    ("ram<=1e4", '--limit ram<=1e4: give QUANTITY<=NUMBER, as in "ram<=64kB" or "instructions<=5M"'),
    ("rom<=64kB", "--limit rom: no such quantity; there are instructions, latency_ms, energy_uj, ram, flash, "
                  "accuracy_drop"),
    ("ram<=64k", "--limit ram<=64k: 'k' is no unit of ram; give one of "),
    ("instructions<=5MB", "--limit instructions<=5MB: 'MB' is no unit of instructions; give one of k, M, G"),
    ("accuracy_drop<=1pt", "--limit accuracy_drop<=1pt: 'pt' is no unit of accuracy_drop; give a number "
                           "alone")])
def test_what_is_no_limit_is_refused_in_words(text, told):
    with pytest.raises(BadInput) as error:
        parse_limit(text)
    assert str(error.value).startswith(told) and (told.endswith(" ") or str(error.value) == told)


def test_units_of_bytes_are_all_listed():
    with pytest.raises(BadInput) as error:
        parse_limit("flash<=1GB")
    assert set(re.split(", ", str(error.value).rpartition("one of ")[2])) == {"B", "kB", "MB", "KiB", "MiB"}


def test_objectives_are_the_cost_and_accuracy_unless_others_are_named():
    assert needs_of((), (), "instructions") == Needs((), ("instructions", "accuracy_drop"))
    assert needs_of((), ("ram",), "instructions").objectives == ("ram", "accuracy_drop")
    assert needs_of((), ("accuracy_drop",), "instructions").objectives == ("accuracy_drop",)
    assert needs_of((), ("ram", "flash"), "instructions").objectives == ("ram", "flash")


def test_costs_are_everything_asked_for_but_accuracy_once():
    needs = needs_of(("ram<=1kB", "accuracy_drop<=1", "instructions<=5"), (), "instructions")
    assert needs.costs == ("instructions", "ram")


@pytest.mark.parametrize("limits, minimise, told", [
    (("ram<=1kB", "ram<=2kB"), (), "--limit: ram has two limits; give one"),
    ((), ("ram", "ram"), "--minimise ram: given twice"),
    ((), ("size",), "--minimise size: no such quantity; there are instructions, latency_ms, energy_uj, ram, "
                    "flash, accuracy_drop")])
def test_contradictions_are_refused(limits, minimise, told):
    with pytest.raises(BadInput, match=f"^{re.escape(told)}$"):
        needs_of(limits, minimise, "instructions")


def test_a_violation_is_a_share_of_the_limit():
    needs = needs_of(("ram<=100", "accuracy_drop<=0", "flash<=10"), (), "instructions")
    assert needs.violations({"ram": 150.0, "accuracy_drop": 0.5}) == {"ram": 0.5, "accuracy_drop": 0.5}
    assert not needs.hold({"ram": 100.5}) and needs.hold({"ram": 100.0, "flash": 3.0, "instructions": 1e9})
    assert needs.violations({"ram": 25.0}) == {"ram": -0.75}
    assert str(needs.limits[0]) == "ram <= 100"
    assert str(Limit("instructions", 5e6)) == "instructions <= 5,000,000"


@pytest.mark.parametrize("limit, emulated, meter, told", [
    ("latency_ms<=1", True, False,
     "latency_ms: m4 is emulated; it counts instructions and has no time and no energy. Ask for "
     "`instructions` instead, or name a board with --device"),
    ("energy_uj<=1", True, True, "energy_uj: m4 is emulated; it counts instructions"),
    ("instructions<=1", False, True, "instructions: m4 keeps time and counts none; ask for `latency_ms`"),
    ("energy_uj<=1", False, False, "energy_uj: no meter sees what m4 takes; name one in boards.toml")])
def test_a_figure_that_the_device_has_not_is_refused(limit, emulated, meter, told):
    needs = needs_of((limit,), ("accuracy_drop",), "latency_ms")
    with pytest.raises(BadInput, match=f"^{re.escape(told)}"):
        require_told(needs, "m4", emulated, meter)


def test_a_figure_that_it_has_is_not():
    require_told(needs_of(("energy_uj<=1", "ram<=1"), (), "latency_ms"), "pi", False, True)
    require_told(needs_of(("ram<=1",), (), "instructions"), "m4", True, False)
