"""Small chains of quantized stages: a cascade, and one that hands on what a stage has made."""

import numpy as np

from tests.lower.c.nets import Net
from toolchain.adaptive.cascade import cascade_stages
from toolchain.chain import Chain, every_logits, run_chain
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams
from toolchain.policy import Policy, table_of
from toolchain.stages import level_output


def classifier(net: Net, x: str, name: str, scale: float, zero_point: int = 0, classes: int = 5) -> str:
    """Average over places, then a dense layer."""
    side, channels = net.tensors[x].shape[1], net.tensors[x].shape[-1]
    codes = float(net.tensors[x].quant.scale), int(net.tensors[x].quant.zero_point)
    pooled = net.make("average_pool2d", x, f"{name}.pooled", *codes, kernel=(side, side))
    flat = net.make("reshape", pooled, f"{name}.flat", *codes, shape=(1, channels))
    weights = net.weights(name, flat, (classes, channels))
    return net.make("fully_connected", (flat, *weights), name, scale, zero_point)


def network(name: str, width: int, scale: float, zero_point: int = 0, seed: int = 0,
            classes: int = 5, codes: tuple[float, int] = (0.05, 3)) -> Graph:
    """8x8x3 -> conv, pool, dense. codes: scale and zero point of the input"""
    net = Net(name, seed)
    x = net.codes_in("x", 1, 8, 8, 3, scale=codes[0], zero_point=codes[1])
    stem = net.conv(x, "stem", width, activation="relu")
    return net.finish(classifier(net, stem, "logits", scale, zero_point, classes))


def cascade() -> Chain:
    """Of two, whose logits have other scales and zero points."""
    return decided(network("small", 4, 0.004, 3, 1), network("large", 16, 0.009, -7, 2))


def apart() -> Chain:
    """Networks side by side, whose logits have other scales and zero points, as have the second's inputs."""
    networks = (network("small", 4, 0.004, 3, 1), network("middle", 8, 0.006, 0, 3, codes=(0.06, -3)),
                network("large", 16, 0.009, -7, 2))
    return Chain("chained", cascade_stages(networks), (), apart=True)


def handing_on() -> Chain:
    """Three stages; the second goes on from the first's features, the third from both."""
    first = Net("first", 3)
    stem = first.conv(first.codes_in("x", 1, 8, 8, 3), "stem", 6, activation="relu")
    one = first.finish(classifier(first, stem, "logits_0", 0.004), stem)
    second = Net("second", 4)
    middle = second.conv(taken(second, one, "stem"), "middle", 8, activation="relu")
    two = second.finish(classifier(second, middle, "logits_1", 0.005, 2), middle)
    third = Net("third", 5)
    both = third.op("concat", (taken(third, one, "stem"), taken(third, two, "middle")), "both",
                    quant=QuantParams(0.04, -5), axis=3)
    last = third.conv(both, "last", 8)
    return decided(one, two, third.finish(classifier(third, last, "logits_2", 0.006)))


def taken(net: Net, graph: Graph, name: str) -> str:
    """An input of what another stage has made."""
    made = graph.tensors[name]
    return net.input(name, made.shape, made.dtype, made.quant)


def decided(*stages: Graph) -> Chain:
    """Every stage answers about half of what it sees."""
    tables = [table_of(float(graph.tensors[graph.outputs[0]].quant.scale), 0.1) for graph in stages[:-1]]
    never = Chain("chained", stages, tuple(Policy(temperature=0.1, bound=0, table=table) for table in tables))
    logits = every_logits(never, feeds(never, 64))
    return Chain("chained", stages, tuple(
        Policy(temperature=0.1, bound=int(np.median(policy.doubts(found))), table=policy.table)
        for policy, found in zip(never.policies, logits)))


def feeds(chain: Chain, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random codes, of samples that differ as a whole."""
    random = np.random.default_rng(seed)
    return {x.name: np.clip(random.integers(-90, 90, (count, *(1 for _ in x.shape[1:]))) + random.integers(
        -60, 60, (count, *x.shape[1:])), -128, 127).astype(np.int8) for x in chain.inputs}


def vectors(chain: Chain, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Test vectors as an artefact has them, at every level."""
    given = feeds(chain, count, seed=seed)
    held = {level_output(level, name): values for level in range(len(chain.stages) - 1)
            for name, values in run_chain(chain, given, level).items()}
    return {**{f"input/{name}": values for name, values in given.items()}, **held,
            **{f"output/{name}": values for name, values in run_chain(chain, given).items()}}
