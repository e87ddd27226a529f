"""The record is parsed strictly: what a runner writes is read back, and nothing else is."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from toolchain.device.runner.record import (
    MANY,
    Block,
    Op,
    Record,
    RunnerPort,
    Sample,
    Watched,
    parse,
)
from toolchain.errors import BadReply

WHOLE = b"""edge-runner 1
runtime LiteRT 2.3.0
input serving%20default int8 1,49,10,1
output a%25b%21 float32 -
load_ns 195843357
first_ns 169673
began_ns 46694223561354
ended_ns 46694224003193
inferences 2
sample 11648 169673 72989
sample 306758 52598 0
watch 0 46694223513493 42
watch 1 46694223523578 !2
watch 0 46694224010995 %
instructions 1943383
cycles 9000000
vm_hwm_kb 9484
faults 5 0
switches 0 7
end
"""


def test_a_whole_record():
    assert parse(WHOLE, "time") == Record(
        runtime="LiteRT 2.3.0", inputs=(RunnerPort("serving default", "int8", (1, 49, 10, 1)),),
        outputs=(RunnerPort("a%b!", "float32", ()),), load_ns=195843357, first_ns=169673,
        began_ns=46694223561354, ended_ns=46694224003193, inferences=2,
        samples=(Sample(11648, 169673, 72989), Sample(306758, 52598, 0)),
        watched=(Watched(0, 46694223513493, "42"), Watched(1, 46694223523578, errno=2),
                 Watched(0, 46694224010995, "")),
        instructions=1943383, cycles=9000000, vm_hwm_kb=9484, faults=(5, 0), switches=(0, 7))


def test_other_modes():
    assert parse(b"edge-runner 1\nclock 7\nend\n", "clock").clock == 7
    assert parse(b"edge-runner 1\nend\n") == Record()
    digest = "a" * 64
    assert parse(f"edge-runner 1\nsha256 0 {digest}\nend\n".encode(), "hash").sha256 == (digest,)
    blocks = parse(b"edge-runner 1\nblock 1 3 400 500\nop 4 Conv a:b 7000 2\nend\n")
    assert blocks.blocks == (Block(1, 3, 400, 500),) and blocks.ops == (Op(4, "Conv", "a:b", 7000, 2),)


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_any_part_of_a_record_is_refused(cut):
    with pytest.raises(BadReply):
        parse(WHOLE[:cut], "time")


@given(at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_a_wrong_byte_is_refused_or_another_value(at, byte):
    damaged = WHOLE[:at] + bytes([byte]) + WHOLE[at + 1:]
    try:
        assert isinstance(parse(damaged, "time"), Record)
    except BadReply as error:
        assert len(str(error)) < 400


@given(st.binary(max_size=300))
def test_garbage_is_refused(data):
    with pytest.raises(BadReply):
        parse(data + b"x")
    with pytest.raises(BadReply):
        parse(b"edge-runner 1\n" + data + b"~\nend\n")


@given(st.lists(st.tuples(*[st.integers(0, 2**40)] * 3), min_size=1, max_size=20), st.integers(0, 2**62))
def test_samples_are_read_back(gaps, began):
    samples, at = [], 0
    for gap, wall, cpu in gaps:
        samples.append(Sample(at + gap, wall, cpu))
        at += gap + wall
    lines = [f"sample {one.start_ns} {one.wall_ns} {one.cpu_ns}" for one in samples]
    text = "\n".join(["edge-runner 1", f"began_ns {began}", f"ended_ns {began + at}",
                      f"inferences {len(samples)}", *lines, "end\n"])
    assert parse(text.encode()).samples == tuple(samples)


@pytest.mark.parametrize("line, said", [
    (b"speed 3", "an unknown key"), (b"load_ns 3", "a second one"), (b"", "an unknown key"),
    (b"cycles 3 4", "too many or too few words"), (b"sample 5", "too many or too few words"),
    (b"watch 16 5 x", "index 16 of 16 files"),
    (b"watch 0 5 !x", "is not a number"), (b"watch 0 5 a%zz", "not percent-encoded"),
    (b"watch 0 5 a%", "not percent-encoded"), (b"watch 0 5 %0a", "not percent-encoded"),
    (b"input x string 1", "no dtype"), (b"input x int8 1,,2", "no shape"), (b"input x int8 0", "no shape"),
    (b"input x int8 1,1,1,1,1,1,1,1,1", "no shape"), (b"block 2 1 1 1", "model 0 or 1"),
    (b"block 0 0 1 1", "one inference at least"), (b"sha256 1 " + b"a" * 64, "the digest of file 0"),
    (b"sha256 0 " + b"A" * 64, "the digest of file 0"), (b"clock 9223372036854775808", "is not a number"),
    (b"clock 007", "is not a number"), (b"clock -1", "is not a number"), (b"runtime", "not a name"),
    (b"clock  7", "too many or too few words"), (b"op 0 a b 1", "too many or too few words"),
    (b"end", "an unknown key"),
    (b"edge-runner 1", "an unknown key"), (b"x" * 9000, "more than 8192 characters")])
def test_lines_that_no_runner_writes(line, said):
    whole = WHOLE if line.split(b" ")[0] in (b"load_ns",) else b"edge-runner 1\nend\n"
    with pytest.raises(BadReply, match=said):
        parse(whole.replace(b"\nend\n", b"\n" + line + b"\nend\n"))


@pytest.mark.parametrize("old, new, said", [
    (b"inferences 2", b"inferences 3", "2 samples of 3 inferences"),
    (b"inferences 2", b"inferences 0", "one at least"),
    (b"ended_ns 46694224003193", b"ended_ns 46694223561354", "ends after the run"),
    (b"sample 306758", b"sample 100000", "while another ran"),
    (b"began_ns 46694223561354\n", b"", "without a beginning"),
    (b"edge-runner 1\n", b"edge-runner 2\n", "begins with 'edge-runner 2'"),
    (b"runtime LiteRT 2.3.0\n", b"", "of mode time lacks runtime"),
    (b"load_ns 195843357\n", b"", "of mode time lacks load_ns")])
def test_records_that_contradict_themselves(old, new, said):
    with pytest.raises(BadReply, match=said):
        parse(WHOLE.replace(old, new), "time")


def test_too_much_of_anything():
    with pytest.raises(BadReply, match="more than 64 of them"):
        parse(b"edge-runner 1\n" + b"input x int8 1\n" * 65 + b"end\n")
    with pytest.raises(BadReply, match="at most 134,217,728 are read"):
        parse(bytes(128 * 2**20 + 1))
    assert all(most <= 10_000_000 for _, most, _ in MANY.values())
