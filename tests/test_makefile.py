"""The Makefile: what it offers and what it would run. Nothing is built (make -n)."""

import os
from pathlib import Path
import re
import subprocess

import pytest

from toolchain.profile import load_target

ROOT = Path(__file__).resolve().parents[1]
TARGETS = sorted(path.parent.name for path in ROOT.glob("targets/*/profile.toml"))
HAR = "docs/examples/har_watch"


def make(*words: str) -> list[str]:
    """Lines that make prints; `setup` is taken to be done."""
    outer = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MODEL", "RECIPE", "DATA", "DEVICE"}
    env = {name: value for name, value in os.environ.items() if name not in outer}
    done = subprocess.run(["make", "--no-print-directory", "-o", "setup", *words], cwd=ROOT, env=env,
                          capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_help_lists_every_target():
    text = "\n".join(make("help"))
    assert all(f"make {target}\n" in text for target in TARGETS)
    for word in "setup check test demo doctor clean android raspberry-pi microcontroller".split():
        assert f"\n{word} " in text


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_built_then_measured(target):
    build, bench = make("-n", f"bench-{target}")
    out = f"build/har_watch/{target}"
    assert build == (f".venv/bin/edge build {HAR}/model.py:trained --target {target} "
                     f"--data har_watch --recipe {HAR}/recipe.toml --out {out}")
    assert bench.strip() == f".venv/bin/edge bench {out}"


@pytest.mark.parametrize("family", ["android", "raspberry-pi", "microcontroller"])
def test_a_family_builds_its_members(family):
    built = [target for line in make("-n", family) for target in re.findall(r" --target (\S+)", line)]
    assert built == [target for target in TARGETS if load_target(target).family == family]
    assert len(built) > 1


def test_a_family_goes_on_past_a_board_without_room(tmp_path):
    """EDGE's stand-in refuses the micro:bit."""
    edge = tmp_path / "edge"
    edge.write_text('#!/bin/sh\necho "$4"\n[ "$4" != cortex_m0_qemu ]\n')
    edge.chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        make("-s", "microcontroller", f"EDGE={edge}")
    built = caught.value.stdout.split()
    assert built == [target for target in TARGETS if load_target(target).family == "microcontroller"]


def test_overrides():
    given = ("MODEL=nets/kws.tflite", "DATA=w.npz", "RECIPE=r.toml", "DEVICE=pi")
    build, bench = make("-n", "bench-host", *given)
    assert build.endswith(" nets/kws.tflite --target host --data w.npz --recipe r.toml --out build/kws/host")
    assert bench.endswith("build/kws/host --device pi --all --data w.npz")


def test_a_device_is_asked_about_so_many_samples():
    _, bench = make("-n", "bench-raspberry_pi_4", "DEVICE=pi-virt", "LIMIT=500")
    assert bench.endswith("raspberry_pi_4 --device pi-virt --all --data har_watch --limit 500")


def test_a_model_alone_is_built_without_samples_or_recipe():
    (build,) = make("-n", "host", "MODEL=nets/kws_int8.tflite")
    assert build.split()[2:] == ["nets/kws_int8.tflite", "--target", "host", "--out", "build/kws_int8/host"]
