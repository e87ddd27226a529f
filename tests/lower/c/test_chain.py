"""Chains in C: the policy's whole numbers, the reference's answers and paths, in one arena."""

import ctypes
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import msgspec
import numpy as np
import pytest

from tests import chains
from tests.c_host import SANITIZED, GuardedBuffer, compile_c
from toolchain.chain import Chain, run_chain
from toolchain.errors import Unsupported
from toolchain.lower.c.chain import write_chain
from toolchain.lower.c.machine import Machine
from toolchain.policy import doubts_of_codes, table_of

CHAINS = {"cascade": chains.cascade, "handing on": chains.handing_on}


class Params(ctypes.Structure):
    """tk_doubt_s8_params."""

    _fields_ = (("table", ctypes.c_void_p), ("entries", ctypes.c_int32), ("classes", ctypes.c_int32))


def built(chain: Chain, folder, machine: Machine = Machine(), flags=("-O1", *SANITIZED), **asked):
    """The library of a chain and its source."""
    source = write_chain(chain, machine=machine, **asked)
    for name, data in source.files.items():
        (folder / name).write_bytes(data)
    units = [folder / name for name in source.files if name.endswith(".c")]
    compile_c(units, folder / "chain.so", [*flags, "-shared", "-fPIC"], [folder])
    return ctypes.CDLL(str(folder / "chain.so")), source


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    found = {}
    for name, make in CHAINS.items():
        found[name] = make(), *built(make(), tmp_path_factory.mktemp("chain"))
    return found


def numbers(text: bytes, name: str) -> int:
    """A macro's value in model.h."""
    line = next(line for line in text.decode().splitlines() if line.startswith(f"#define {name} "))
    return int(line.split()[-1].rstrip("u"))


def run(chain: Chain, library, source, x: np.ndarray, places: bool,
        level: int | None = None) -> tuple[np.ndarray, int]:
    """Logits and path of one sample, in buffers of our own or at their places in the arena, held to a level
    if one is given."""
    header, upper = source.files["model.h"], "CHAINED"
    arena = GuardedBuffer(source.arena_bytes)
    assert numbers(header, f"{upper}_ARENA_BYTES") == source.arena_bytes
    buffers = []
    for side, size in (("INPUT_0", x.nbytes), ("OUTPUT_0", 2 * chain.logits.size), ("OUTPUT_1", 4)):
        offset = numbers(header, f"{upper}_{side}_OFFSET")
        buffers.append(arena.view[offset:offset + size] if places else GuardedBuffer(size))
    views = [buffer if places else buffer.view for buffer in buffers]
    views[0][:] = x.view(np.uint8).ravel()
    given = [ctypes.c_void_p(place) for place in (*(v.ctypes.data for v in views), arena.address)]
    if level is None:
        library.chained_invoke(*given)
    else:
        library.chained_invoke_level(ctypes.c_int32(level), *given)
    for buffer in (arena, *([] if places else buffers)):
        buffer.check(chain.name)
    return views[1].view(np.int16).copy(), int(views[2].view(np.int32)[0])


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("places", [False, True], ids=["own buffers", "arena"])
def test_answers_and_paths_are_the_references(libraries, name, places):
    chain, library, source = libraries[name]
    feeds = chains.feeds(chain, 40, seed=1)
    expected = run_chain(chain, feeds)
    assert set(expected["path"]) == set(range(len(chain.stages)))
    for row in range(40):
        logits, path = run(chain, library, source, feeds["x"][row], places)
        assert path == expected["path"][row] and np.array_equal(logits, expected[chain.logits.name][row])


@pytest.mark.parametrize("isa", ["armv7e-m", "armv8.1-m.main+mve"])
def test_the_same_with_a_cores_kernels(isa, tmp_path):
    chain = chains.handing_on()
    library, source = built(chain, tmp_path, Machine(isa))
    feeds = chains.feeds(chain, 12, seed=2)
    expected = run_chain(chain, feeds)
    found = [run(chain, library, source, x, True) for x in feeds["x"]]
    assert [path for _, path in found] == expected["path"].tolist()
    assert np.array_equal([logits for logits, _ in found], expected[chain.logits.name])


@given(arrays(np.int8, st.integers(2, 60)), st.floats(1e-3, 1.0), st.floats(0.05, 20.0))
@settings(max_examples=200)
def test_doubts_are_the_references(libraries, codes, scale, temperature):
    _, library, _ = libraries["cascade"]
    table = np.array(table_of(scale, temperature), np.int32)
    params = Params(table.ctypes.data, len(table), len(codes))
    library.tk_doubt_s8.restype = ctypes.c_uint32
    found = library.tk_doubt_s8(ctypes.byref(params), ctypes.c_void_p(codes.ctypes.data))
    assert found == doubts_of_codes(codes[None], table.tolist())[0]


def test_the_arena_is_shared(libraries):
    """Stages after one another in the memory of the largest, and what is handed over."""
    chain, _, source = libraries["cascade"]
    header = {number: source.files[f"stage_{number}.h"] for number in (0, 1)}
    own = [numbers(header[n], f"CHAINED_STAGE_{n}_ARENA_BYTES") for n in (0, 1)]
    assert source.arena_bytes <= max(own) + chain.inputs[0].size + 2 * 5 + 4 + 3 * 16 < sum(own) + 192


def test_the_hook_numbers_all_stages_steps(libraries, tmp_path):
    chain, _, source = libraries["cascade"]
    never = replace(chain, policies=(msgspec.structs.replace(chain.policies[0], bound=0),))
    (tmp_path / "hook.c").write_text('#include "model.h"\nuint32_t steps[64], count;\n'
                                     "void tk_layer(uint32_t step) { steps[count++] = step; }\n")
    library, source = built(never, tmp_path, flags=("-DTK_LAYERS", str(tmp_path / "hook.c")))
    run(never, library, source, chains.feeds(chain, 1)["x"][0], True)
    total = ctypes.c_uint32.in_dll(library, "chained_layer_count").value
    count = ctypes.c_uint32.in_dll(library, "count").value
    steps = [*(ctypes.c_uint32 * 64).in_dll(library, "steps")][:count]
    titles = [title.decode() for title in (ctypes.c_char_p * total).in_dll(library, "chained_layers")]
    assert [*dict.fromkeys(steps)] == [*range(total + 1)]
    assert titles[3] == "stage 0: answers or not" and titles[-1] == "stage 1: answers"
    assert titles[0].startswith("stem: conv2d") and titles[4].startswith("stem: conv2d")


def test_the_same_bytes_every_time_and_no_allocation():
    first, second = (dict(write_chain(chains.cascade()).files) for _ in range(2))
    assert first == second and not any(b"malloc" in data for data in first.values())


def test_test_vectors_are_checked_by_the_library_itself(tmp_path):
    chain = chains.cascade()
    feeds = chains.feeds(chain, 6, seed=3)
    vectors = {"input/x": feeds["x"],
               **{f"output/{name}": values for name, values in run_chain(chain, feeds).items()}}
    library, source = built(chain, tmp_path, vectors=vectors)
    arena = GuardedBuffer(source.arena_bytes)
    assert library.chained_selftest(ctypes.c_void_p(arena.address)) == 0
    spoilt = {**vectors, "output/path": 1 - vectors["output/path"]}
    (tmp_path / "spoilt").mkdir()
    library, source = built(chain, tmp_path / "spoilt", vectors=spoilt)
    assert library.chained_selftest(ctypes.c_void_p(arena.address)) == 6


def test_pixels_are_bytes(tmp_path):
    """uint8 codes, 128 higher: the same answers, test vectors among them."""
    chain = chains.cascade()
    feeds = chains.feeds(chain, 9, seed=4)
    expected, pixels = run_chain(chain, feeds), (feeds["x"].astype(np.int16) + 128).astype(np.uint8)
    vectors = {"input/x": pixels, **{f"output/{name}": values for name, values in expected.items()}}
    library, source = built(chain, tmp_path, vectors=vectors, input_io="uint8")
    arena = GuardedBuffer(source.arena_bytes)
    assert library.chained_selftest(ctypes.c_void_p(arena.address)) == 0
    assert "const uint8_t *input" in source.files["model.h"].decode()
    found = [run(chain, library, source, x, True) for x in pixels]
    assert [path for _, path in found] == expected["path"].tolist()


def test_pixels_that_only_some_inputs_are(tmp_path):
    with pytest.raises(Unsupported, match="stage 1 .second. takes x, stem"):
        write_chain(mixed_inputs(), input_io="uint8")


def mixed_inputs() -> Chain:
    """The last stage reads the chain's input and what the first has made."""
    first = chains.Net("first", 3)
    stem = first.conv(first.codes_in("x", 1, 8, 8, 3), "stem", 3, activation="relu")
    one = first.finish(chains.classifier(first, stem, "logits_0", 0.004), stem)
    second = chains.Net("second", 4)
    x = second.codes_in("x", 1, 8, 8, 3)
    total = second.make("add", (x, chains.taken(second, one, "stem")), "total")
    return chains.decided(one, second.finish(chains.classifier(second, total, "logits_1", 0.005)))
