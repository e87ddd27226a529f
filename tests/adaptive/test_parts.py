"""Stages of a chain as artefacts of their own: their files, and what test vectors tell of each."""

import numpy as np
import pytest

from tests import chains
from tests.adaptive.test_budget import lowered
from toolchain.adaptive.budget import at_budget
from toolchain.adaptive.parts import measured_parts
from toolchain.artifact import Artifact
from toolchain.chain import Chain
from toolchain.ir.graph import Graph
from toolchain.runtime import reference


def require_the_stages_own(part: Artifact, graph: Graph, count: int) -> None:
    """Its vectors are what the reference makes of the stage's own graph."""
    feeds = {name: part.vectors[f"input/{name}"] for name in graph.inputs}
    expected = reference.run(graph, feeds)
    assert len(part.vectors) == len(graph.inputs) + 1
    for name, values in expected.items():
        assert len(values) == count and np.array_equal(part.vectors[f"output/{name}"], values)


@pytest.mark.parametrize("fmt", ["tflite", "onnx"])
def test_a_cascades_stages_have_the_samples_that_each_answers(fmt):
    chain = chains.cascade()
    artifact = lowered(chain)
    parts, path = measured_parts(artifact, fmt), artifact.vectors["output/path"]
    assert [part.manifest.name for part in parts] == [f"chained/stage_0.{fmt}", f"chained/stage_1.{fmt}"]
    assert [part.model(fmt) for part in parts] == [artifact.files[f"stage_{n}.{fmt}"] for n in (0, 1)]
    require_the_stages_own(parts[0], chain.stages[0], len(path))
    assert 0 < np.sum(path == 1) < len(path)
    require_the_stages_own(parts[1], chain.stages[1], np.sum(path == 1))
    assert len({part.digest for part in (artifact, *parts)}) == 3


def test_held_to_a_level_no_later_stage_runs():
    chain = chains.cascade()
    artifact = lowered(chain)
    (part,) = measured_parts(at_budget(artifact, chain.levels.costs[0]), "tflite")
    require_the_stages_own(part, chain.stages[0], 6)


def test_of_networks_side_by_side_the_one_that_runs():
    chain = chains.apart()
    artifact = lowered(chain)
    for level, cost in enumerate(chain.levels.costs):
        (part,) = measured_parts(at_budget(artifact, cost), "onnx")
        require_the_stages_own(part, chain.stages[level], 6)


def without_vectors(chain: Chain) -> list[int]:
    parts = measured_parts(lowered(chain), "tflite")
    return [number for number, part in enumerate(parts) if not part.vectors]


def test_vectors_tell_nothing_of_what_is_handed_on():
    assert without_vectors(chains.handing_on()) == [0, 1, 2] and without_vectors(chains.cascade()) == []
