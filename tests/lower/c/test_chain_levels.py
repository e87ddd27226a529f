"""Levels in C: the same one chosen as in Python, and the reference's answers at each."""

import ctypes
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests import chains
from tests.c_host import GuardedBuffer
from tests.lower.c.test_chain import built, numbers, run
from toolchain.chain import Chain, every_logits, run_chain
from toolchain.levels import NONE, Levels
from toolchain.lower.c.chain import write_chain
from toolchain.stages import level_digest, on_grid

CHAINS = {"apart": chains.apart, "cascade": chains.cascade, "handing on": chains.handing_on}
BUDGETS = st.integers(-2**63, 2**63 - 1) | st.integers(-200_000, 200_000)


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    found = {}
    for name, make in CHAINS.items():
        found[name] = make(), *built(make(), tmp_path_factory.mktemp("chain"))
        found[name][1].chained_level_within.argtypes = (ctypes.c_int64,)
        found[name][1].chained_level_within.restype = ctypes.c_int32
    return found


@pytest.mark.parametrize("name", CHAINS)
@given(budget=BUDGETS)
def test_c_and_python_choose_the_same_level(libraries, name, budget):
    chain, library, _ = libraries[name]
    assert library.chained_level_within(budget) == chain.levels.within(budget)


@given(costs=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=9), budget=BUDGETS)
@settings(max_examples=300)
def test_whatever_levels_cost(libraries, costs, budget):
    library, table = libraries["apart"][1], (ctypes.c_int64 * len(costs))(*costs)
    found = library.tk_within(table, ctypes.c_uint32(len(costs)), ctypes.c_int64(budget))
    assert found == Levels(tuple(costs), "instructions").within(budget)


@pytest.mark.parametrize("name", CHAINS)
@given(late=st.integers(-2**63, -1))
def test_a_deadline_that_is_past_pays_for_none(libraries, name, late):
    chain, library, _ = libraries[name]
    assert library.chained_level_within(late) == chain.levels.within(late) == NONE


@pytest.mark.parametrize("name", CHAINS)
def test_a_level_just_pays_for_itself(libraries, name):
    """And its table stands in the library."""
    chain, library, source = libraries[name]
    costs = (ctypes.c_int64 * len(chain.stages)).in_dll(library, "chained_level_costs")
    assert (*costs,) == chain.levels.costs
    assert [library.chained_level_within(cost) for cost in costs] == [*range(len(costs))]
    assert [library.chained_level_within(cost - 1) for cost in costs] == [*range(-1, len(costs) - 1)]
    assert numbers(source.files["model.h"], "CHAINED_LEVEL_COUNT") == len(costs)
    assert b'#define CHAINED_LEVEL_UNIT "MACs"' in source.files["model.h"]


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("places", [False, True], ids=["own buffers", "arena"])
def test_answers_and_paths_are_the_references_at_every_level(libraries, name, places):
    chain, library, source = libraries[name]
    feeds = chains.feeds(chain, 20, seed=5)
    for level in range(len(chain.stages)):
        expected = run_chain(chain, feeds, level)
        assert expected["path"].max() == level
        found = [run(chain, library, source, x, places, level) for x in feeds["x"]]
        assert [path for _, path in found] == expected["path"].tolist()
        assert np.array_equal([logits for logits, _ in found], expected[chain.logits.name])


def test_networks_side_by_side_are_each_alone(libraries):
    """What each says by itself, on the grid of all."""
    chain, library, source = libraries["apart"]
    feeds = chains.feeds(chain, 20, seed=6)
    for level, (graph, codes) in enumerate(zip(chain.stages, every_logits(chain, feeds), strict=True)):
        zero_point = int(graph.tensors[graph.outputs[0]].quant.zero_point)
        expected = on_grid(codes, zero_point, chain.multipliers[level])
        found = [run(chain, library, source, x, True, level) for x in feeds["x"]]
        assert np.array_equal([logits for logits, _ in found], expected) and {p for _, p in found} == {level}


def test_a_chain_that_is_held_stops_where_it_is_told(libraries):
    chain, library, source = libraries["handing on"]
    x = chains.feeds(chain, 60, seed=1)["x"]
    free = [run(chain, library, source, each, True)[1] for each in x]
    held = [run(chain, library, source, each, True, 1)[1] for each in x]
    assert set(free) == {0, 1, 2} and held == [min(path, 1) for path in free]


@pytest.mark.parametrize("level", [NONE, -7, 3, 2**31 - 1])
def test_no_level_runs_nothing(libraries, level):
    chain, library, source = libraries["apart"]
    x = chains.feeds(chain, 1)["x"][0]
    logits, path = run(chain, library, source, x, False, level)
    assert path == -1 and (logits.view(np.uint8) == 0xA5).all()


@pytest.mark.parametrize("name", CHAINS)
def test_plain_invoke_is_held_to_what_it_is_compiled_with(name, tmp_path):
    chain = CHAINS[name]()
    feeds, middle = chains.feeds(chain, 8, seed=2), chain.levels.costs[1] - 1
    library, source = built(chain, tmp_path, flags=("-O1", f"-DCHAINED_BUDGET={middle}"))
    expected = run_chain(chain, feeds, 0)
    found = [run(chain, library, source, x, True) for x in feeds["x"]]
    assert [path for _, path in found] == expected["path"].tolist() == [0] * 8
    assert np.array_equal([logits for logits, _ in found], expected[chain.logits.name])


def digest_of(library) -> str:
    """Of tk_model, whose first members are name and digest."""
    return (ctypes.c_char_p * 2).in_dll(library, "chained_model")[1].decode()


@pytest.mark.parametrize("name", CHAINS)
def test_its_digest_and_self_test_are_of_the_level_it_is_compiled_for(name, tmp_path):
    """-D alone changes what invoke does and which digest a board tells; vectors are of the last level."""
    chain = CHAINS[name]()
    feeds, costs = chains.feeds(chain, 3), chain.levels.costs
    vectors = {"input/x": feeds["x"],
               **{f"output/{name}": values for name, values in run_chain(chain, feeds).items()}}
    own = [level_digest(chain.digest, level) for level in range(len(costs) - 1)] + [chain.digest]
    budgets = {f"{costs[0]}": own[0], f"{costs[1] - 1}u": own[0], f"{costs[-1]}": own[-1],
               f"{costs[0] - 1}": "none: CHAINED_BUDGET pays for no level",
               "-1": "none: CHAINED_BUDGET pays for no level", f"{costs[-1] - 1}": own[-2]}
    for budget, expected in budgets.items():
        (tmp_path / budget).mkdir()
        library, source = built(chain, tmp_path / budget, vectors=vectors,
                                flags=("-O1", f"-DCHAINED_BUDGET={budget}"))
        assert digest_of(library) == expected, budget
        arena = GuardedBuffer(source.arena_bytes)
        assert library.chained_selftest(ctypes.c_void_p(arena.address)) == 0
    assert len(set(own)) == len(costs)


def test_the_last_level_is_what_plain_invoke_runs(libraries):
    chain, library, source = libraries["apart"]
    x = chains.feeds(chain, 1)["x"][0]
    assert run(chain, library, source, x, True)[1] == len(chain.stages) - 1


def test_one_arena_for_all_networks(libraries):
    chain, _, source = libraries["apart"]
    own = [numbers(source.files[f"stage_{n}.h"], f"CHAINED_STAGE_{n}_ARENA_BYTES") for n in range(3)]
    assert source.arena_bytes <= max(own) + chain.inputs[0].size + 2 * 5 + 4 + 3 * 16 < sum(own)
    assert not any("doubt" in name for name in source.files), "there is no policy"


def test_costs_that_were_measured_stand_in_the_table():
    measured = Levels((5, 70, 2**40), "microseconds", "board, LiteRT 2.3.0, native")
    chain = replace(chains.apart(), measured=measured)
    source = write_chain(chain)
    assert b"{\n    5, 70, 1099511627776}" in source.files["model.c"]
    assert b'#define CHAINED_LEVEL_UNIT "microseconds"' in source.files["model.h"]
    assert b" * Measured on: board, LiteRT 2.3.0, native\n" in source.files["model.h"]
    assert chain.digest != chains.apart().digest


def test_a_hook_sees_the_steps_of_the_level_that_runs(tmp_path):
    chain = chains.apart()
    (tmp_path / "hook.c").write_text('#include "model.h"\nuint32_t steps[64], count;\n'
                                     "void tk_layer(uint32_t step) { steps[count++] = step; }\n")
    library, source = built(chain, tmp_path, flags=("-DTK_LAYERS", str(tmp_path / "hook.c")))
    run(chain, library, source, chains.feeds(chain, 1)["x"][0], True, 1)
    count = ctypes.c_uint32.in_dll(library, "count").value
    steps = [*(ctypes.c_uint32 * 64).in_dll(library, "steps")][:count]
    total = ctypes.c_uint32.in_dll(library, "chained_layer_count").value
    titles = [title.decode() for title in (ctypes.c_char_p * total).in_dll(library, "chained_layers")]
    ends = [titles.index(f"stage {number}: answers") for number in (0, 1)]
    assert [*dict.fromkeys(steps)] == [*range(ends[0] + 1, ends[1] + 2)]


def test_stages_apart_have_no_policies():
    with pytest.raises(ValueError, match="3 stages take 0 policies"):
        replace(chains.apart(), policies=(chains.cascade().policies[0],))
    with pytest.raises(ValueError, match="3 stages have 2 costs"):
        replace(chains.apart(), measured=Levels((1, 2), "MACs"))
    assert isinstance(chains.apart(), Chain)
