"""Arrays that one network reads in another's: the same bytes, whatever order kernels have them in."""

import ctypes
from dataclasses import replace
import re

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests import chains
from tests.c_host import SANITIZED, GuardedBuffer, compile_c
from tests.lower.c.test_chain import built, run
from tests.slices import sliced
from toolchain.chain import run_chain
from toolchain.lower.c.call import Array, Blocks, Call
from toolchain.lower.c.chain import write_chain
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.lending import LEAST_FETCHED, Lent, begins, blocks_in, borrowing
from toolchain.lower.c.machine import ROOMS, Machine
from toolchain.lower.c.pages import kernel_files

CORES = ("", *{rooms: isa for isa, rooms in ROOMS.items()}.values())
WIDTHS = ((4, 8, 8), (8, 16, 12), (16, 32, 24))
SIZES = st.integers(1, 5)
FEW = st.integers(1, 20)


class Params(ctypes.Structure):
    """tk_fetch_params."""

    _fields_ = tuple((name, ctypes.c_int32) for name in Blocks._fields)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """tk_fetch, compiled."""
    folder, files = tmp_path_factory.mktemp("fetch"), kernel_files(["tk_fetch"])
    for name, data in files.items():
        (folder / name).write_bytes(data)
    compile_c([folder / "tk_fetch.c"], folder / "fetch.so", ["-O2", *SANITIZED, "-shared", "-fPIC"], [folder])
    return ctypes.CDLL(str(folder / "fetch.so")).tk_fetch


@given(rows=SIZES, parts=SIZES, run=st.integers(1, 50), seed=st.integers(0, 99), more=st.tuples(
    st.integers(0, 3), st.integers(0, 9)), dtype=st.sampled_from(["int8", "int16", "int32"]))
@settings(max_examples=200)
def test_what_is_fetched_is_the_slice(kernel, rows, parts, run, seed, more, dtype):
    """Told by numpy's own slicing."""
    shape = rows + more[0], parts, run + more[1]
    whole = np.random.default_rng(seed).integers(-100, 100, shape).astype(dtype)
    part = np.ascontiguousarray(whole[:rows, :, :run])
    blocks = blocks_in(part, whole.reshape(len(whole), -1))
    assert blocks is not None and blocks.rows * blocks.parts * blocks.run == part.nbytes
    out = GuardedBuffer(part.nbytes)
    kernel(ctypes.byref(Params(*blocks)), ctypes.c_void_p(whole.ctypes.data), ctypes.c_void_p(out.address))
    out.check("tk_fetch")
    assert out.view.tobytes() == part.tobytes()


@given(shape=st.tuples(SIZES, FEW), other=st.tuples(SIZES, FEW), seed=st.integers(0, 99))
def test_only_equal_bytes_are_borrowed(shape, other, seed):
    part, whole = (np.random.default_rng(seed + number).integers(0, 2, each).astype(np.int8)
                   for number, each in enumerate((shape, other)))
    if blocks := blocks_in(part, whole):
        flat, starts = whole.ravel(), np.add.outer(np.arange(blocks.rows) * blocks.row_step,
                                                   np.arange(blocks.parts) * blocks.part_step).ravel()
        assert np.concatenate([flat[at:at + blocks.run] for at in starts]).tobytes() == part.tobytes()
    assert begins(part, whole) == (whole.tobytes()[:part.size] == part.tobytes())


def test_a_slice_that_has_another_byte_keeps_its_own():
    whole = np.arange(64 * 9, dtype=np.int32).reshape(24, 24)
    part = np.ascontiguousarray(whole[:12, :8])
    part[-1, -1] += 1
    call = Call("k", (), {"weight": Array("weight", part), "output": {"bias": Array("bias", whole[:2])}})
    found = borrowing([Lent("whole", whole)])(call)
    assert [array.role for array in found.arrays] == ["weight"]
    assert [(each.role, each.symbol, each.blocks) for each in found.borrowed] == [("bias", "whole", None)]
    part[-1, -1] -= 1
    found = borrowing([Lent("whole", whole)])(call)
    assert found.arrays == () and found.memory_bytes == part.nbytes
    assert next(iter(found.fetched)).blocks == Blocks(12, 1, 32, 96, 96, 1)


@pytest.mark.parametrize("isa", CORES)
def test_every_level_answers_as_its_network_alone(isa, tmp_path):
    chain = sliced(WIDTHS)
    library, source = built(chain, tmp_path, Machine(isa, "speed"))
    feeds = chains.feeds(chain, 12, seed=1)
    for level in range(len(WIDTHS)):
        expected = run_chain(chain, feeds, level)[chain.logits.name]
        for places in (False, True):
            found = [run(chain, library, source, x, places, level)[0] for x in feeds["x"]]
            assert np.array_equal(found, expected), (isa, level)


COUNTS = st.integers(1, 9)


@pytest.mark.slow
@pytest.mark.parametrize("isa", CORES)
@given(narrow=st.tuples(COUNTS, COUNTS, COUNTS), more=st.tuples(*[st.integers(0, 9)] * 3))
@settings(max_examples=15)
def test_slices_of_any_size(isa, tmp_path_factory, narrow, more):
    """Those that do not lie in one another in a kernel's order keep weights of their own."""
    chain = sliced([narrow, tuple(map(sum, zip(narrow, more, strict=True)))])
    library, source = built(chain, tmp_path_factory.mktemp("any"), Machine(isa, "speed"))
    feeds = chains.feeds(chain, 4, seed=2)
    for level in range(2):
        expected = run_chain(chain, feeds, level)[chain.logits.name]
        found = [run(chain, library, source, x, True, level)[0] for x in feeds["x"]]
        assert np.array_equal(found, expected)


def own_weights(data: bytes) -> dict[str, int]:
    """Constant arrays of weights in a file, in bytes."""
    found = re.findall(r"\nstatic const int(\d+)_t (\w+_weight)\[(\d+)\]", data.decode())
    return {name: int(count) * int(bits) // 8 for bits, name, count in found}


@pytest.mark.parametrize("isa", [isa for isa in CORES if isa != "armv8.1-m.main+mve"])
def test_weights_are_in_flash_once(isa):
    chain = sliced(WIDTHS)
    source = write_chain(chain, machine=Machine(isa))
    alone = [write_c(graph, machine=Machine(isa)) for graph in chain.stages]
    large = sum(t.data.nbytes for t in chain.stages[0].constants if t.name.endswith(".weight"))
    saved = sum(each.weight_bytes for each in alone) - source.weight_bytes
    assert saved > 0.75 * large, "more than the narrowest network's alone"
    assert source.notes[0].startswith("stage 0: reads ") and len(source.notes) == 2
    assert "tk_fetch.c" in source.files and b"extern const" in source.files["shared.h"]
    for number in range(2):
        own = own_weights(source.files[f"stage_{number}.c"])
        assert all(size < LEAST_FETCHED or name == "dw_weight" for name, size in own.items())
        assert own.get("dw_weight", 0) < LEAST_FETCHED or "dsp" in ROOMS[isa], "records with scales in them"


def test_channels_that_are_dead_in_one_width_alone_stay(tmp_path):
    """Without them the channels behind them would be others than in the slice."""
    chain = sliced(WIDTHS[::2])
    wide = chain.stages[-1]
    bias = wide.tensors["stem.bias"]
    off = replace(bias, data=np.where(np.arange(len(bias.data)) == 1, -2**24, bias.data).astype(np.int32))
    chain = replace(chain, stages=(chain.stages[0], wide.with_tensors(off)))
    assert "channels of its layers change no output" in write_c(chain.stages[-1]).notes[0]
    library, source = built(chain, tmp_path)
    assert "tk_fetch.c" in source.files and source.notes[0].startswith("stage 0: reads ")
    assert len(source.notes) == 1
    feeds = chains.feeds(chain, 6, seed=3)
    for level in range(2):
        found = [run(chain, library, source, x, True, level)[0] for x in feeds["x"]]
        assert np.array_equal(found, run_chain(chain, feeds, level)[chain.logits.name])


def test_the_arena_holds_what_is_fetched():
    """At most beside what the op needs, and nothing where the widest network needs more anyway."""
    chain = sliced(WIDTHS)
    source, apart = (write_chain(each) for each in (chain, chains.apart()))
    assert "tk_fetch.c" not in apart.files and "shared.c" not in apart.files
    widest = write_c(chain.stages[-1])
    assert source.arena_bytes <= widest.arena_bytes + 96

