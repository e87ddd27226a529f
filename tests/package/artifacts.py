"""Small artefacts to package."""

from dataclasses import replace
from functools import cache

import msgspec

from tests import chains
from tests.lower.c.nets import residual_net
from tests.lower.c.test_emit import choosing_net, vectors
from tests.slices import sliced
from toolchain.artifact import Artifact
from toolchain.ir.graph import Graph, Metadata
from toolchain.lower import lower
from toolchain.lower.chain import lower_chain
from toolchain.profile import load_target


@cache
def one_to_one(target: str = "cortex_m4_qemu") -> Artifact:
    """A network with labels, int8 in and out."""
    graph = replace(residual_net(), metadata=Metadata(labels=("up", "down", 'lef"t', "right", "still")))
    return built(graph, target)


@cache
def many_to_many() -> Artifact:
    """int8, bool and int32 in, int32 and int8 out."""
    return built(choosing_net(), "cortex_m4_qemu")


@cache
def in_two_memories() -> Artifact:
    """Its arena lies in RAM and in a memory of 400 bytes."""
    profile = msgspec.structs.replace(load_target("cortex_m7_qemu"), regions={"DTCM": 400})
    return lower(residual_net(), profile, vectors(residual_net()))


@cache
def chained() -> Artifact:
    """Stages with a policy between them."""
    chain = chains.cascade()
    return lower_chain(chain, load_target("cortex_m4_qemu"), chains.vectors(chain, 4))


@cache
def slices() -> Artifact:
    """Levels that share weights."""
    chain = sliced(((4, 8, 8), (16, 32, 24)))
    return lower_chain(chain, load_target("cortex_m4_qemu"), chains.vectors(chain, 4))


def built(graph: Graph, target: str) -> Artifact:
    return lower(graph, load_target(target), vectors(graph))
