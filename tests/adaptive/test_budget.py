"""An artefact held to a budget: its manifest, its C and its test vectors."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests import chains
from toolchain.adaptive.budget import at_budget
from toolchain.artifact import Artifact, read_artifact, read_manifest
from toolchain.chain import Chain, run_chain
from toolchain.errors import BadInput, GateFailed
from toolchain.levels import MOST, Held
from toolchain.lower.chain import lower_chain
from toolchain.profile import load_target


def lowered(chain: Chain) -> Artifact:
    """For phones: files, and C beside them; with test vectors of every level."""
    return lower_chain(chain, load_target("android_arm64"), chains.vectors(chain, 6))


@pytest.mark.parametrize("make", [chains.apart, chains.handing_on])
def test_the_same_level_everywhere(make, tmp_path):
    chain = make()
    artifact, costs = lowered(chain), chain.levels.costs
    feeds, digests = {"x": artifact.vectors["input/x"]}, set()
    for level, cost in enumerate(costs):
        held = read_artifact(at_budget(artifact, cost).write(tmp_path / f"held_{level}"))
        assert held.manifest.chain.level == level and held.manifest.held == Held(cost, "MACs", level)
        assert held.digest == read_manifest(tmp_path / f"held_{level}").digest
        assert b"_BUDGET %d\n" % cost in held.files["model.h"] and b"INT64_MAX" not in held.files["model.h"]
        digests.add(held.manifest.graph_digest)
        assert held.files["model.h"].count(held.manifest.graph_digest.encode()) == 1
        expected = run_chain(chain, feeds, level)
        for name, values in expected.items():
            assert np.array_equal(held.vectors[f"output/{name}"], values)
    assert len(digests) == 3 and artifact.manifest.graph_digest in digests, "another board is told by it"
    assert at_budget(artifact, costs[1] - 1).manifest.chain.level == 0
    assert at_budget(artifact, 2**70).manifest.held == Held(MOST, "MACs", 2)
    assert artifact.manifest.held is None
    assert b"_BUDGET 9223372036854775807\n" in at_budget(artifact, 2**70).files["model.h"]


@pytest.mark.parametrize("values", [None, np.zeros((6, 1), np.int64), np.zeros((6, 2), np.int32)],
                         ids=["missing", "another dtype", "another shape"])
def test_vectors_of_a_level_that_are_not_its_outputs_are_refused(values, tmp_path):
    artifact = lowered(chains.apart())
    vectors = {**artifact.vectors, "output@1/path": values}
    there = {name: found for name, found in vectors.items() if found is not None}
    folder = replace(artifact, vectors=there).write(tmp_path / "levels")
    with pytest.raises(BadInput, match="test_vectors.npz: 'output@1/path' is missing, or is not what"):
        read_artifact(folder)


def test_firmware_is_of_no_budget():
    artifact = lowered(chains.apart())
    linked = replace(artifact, files={**artifact.files, "firmware.elf": b"linked before"})
    assert "firmware.elf" not in at_budget(linked, 10**6).files


def test_a_budget_that_pays_for_nothing():
    artifact = lowered(chains.apart())
    least = artifact.manifest.chain.levels.costs[0]
    with pytest.raises(GateFailed, match="a budget of 7 MACs pays for no level of chained; the cheapest "
                                         f"takes {least:,}"):
        at_budget(artifact, 7)


@pytest.mark.parametrize("older, message", [
    (False, "chained has no levels that a budget could choose; `edge levels`"),
    (True, "chained was built before chains had levels that a budget could choose; build it again")],
    ids=["no chain", "built before there were levels"])
def test_what_has_no_levels(older, message):
    artifact = lowered(chains.cascade())
    chain = msgspec.structs.replace(artifact.manifest.chain, levels=None) if older else None
    manifest = msgspec.structs.replace(artifact.manifest, chain=chain)
    with pytest.raises(BadInput, match=message):
        at_budget(replace(artifact, manifest=manifest), 10**9)


def test_what_is_held_is_held_once():
    held = at_budget(lowered(chains.apart()), 10**9)
    with pytest.raises(BadInput, match="chained is held to level 2 already; give the budget to the artefact"):
        at_budget(held, 10**9)
