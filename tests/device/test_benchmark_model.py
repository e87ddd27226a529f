from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
import pytest

from toolchain.device.benchmark_model import BenchmarkRun, Timings, command, parse, run_benchmark_model
from toolchain.device.transports.transport import Finished, safe_words
from toolchain.errors import BadReply, DeviceUnavailable, ToolchainError
from toolchain.measurement import OpTime

PUBLISHED = Path(__file__).parent / "benchmark_model"


def published(name: str) -> str:
    return (PUBLISHED / f"{name}.txt").read_text()


def read(text: str, profiled: bool = False) -> BenchmarkRun:
    return parse(text.encode(), profiled)


def test_times_and_memory_with_quantiles():
    run = read(published("quantiles"))
    assert (run.init_us, run.first_us, run.init_mb, run.overall_mb) == (87639, 106436, 14.4414, 14.8164)
    assert run.inference == Timings(50, 106022, 105784, 105416, 106528, 260, 105485, 105718, 106281)
    assert run.warm_up.count == 5 and run.ops == ()


def test_one_inference_prints_fewer_words():
    run = read(published("one_warm_up"))
    assert run.warm_up == Timings(1, 1041765, 1041765, 1041765, 1041765, 0)
    assert run.inference.median_us is None


def test_inferences_that_all_took_the_same_time():
    text = published("one_warm_up").replace("count=1 curr=1041765", "count=3 curr=1041765(all same)")
    assert read(text).warm_up.count == 3


def test_ops_of_the_regular_runs_only():
    run = read(published("profiled"), profiled=True)
    assert run.ops == (OpTime("[Identity]:77", "TfLiteGpuDelegateV2", 8671.49),)
    assert run.overall_mb == 63.4883


def test_litert_s_own_benchmark():
    run = read(published("litert"), profiled=True)
    assert (run.init_us, run.inference.median_us, run.init_mb, run.overall_mb) == (4478, 462, 8.94, 11.51)
    assert sum(op.us for op in run.ops) == pytest.approx(411.071)
    assert run.ops[3].kind == "Fully Connected (NC, PF32) GEMM"
    assert run.ops[3].us == pytest.approx(382, abs=0.5), "as the table has it in milliseconds"


@pytest.mark.parametrize("was, becomes, words", [
    ("Initialized session in 87.639ms.\n", "\n", "0 times of loading where 1 is due"),
    ("INFO: count=50 first", "INFO: count=5\x00 first", "1 of runs where 2 are"),
    ("avg=105784 std", "avg=999999 std", "its mean lies outside"),
    ("avg=105784 std", "avg=nan std", "1 of runs where 2 are"),
    ("count=50 first=106022 curr=105780 min=105416 ", "count=50 first=106022 curr=105780 ", "no 'min' in"),
    ("Inference (avg): 105784", "Inference (avg): 105800", "contradicts its counts"),
    ("Init: 87639", "Init: 97639", "contradicts its counts")])
def test_what_is_not_whole_or_contradicts_itself(was, becomes, words):
    text = published("quantiles")
    assert was in text
    with pytest.raises(BadReply, match=words):
        read(text.replace(was, becomes))


@pytest.mark.parametrize("was, becomes, words", [
    (" 92.948%", " 2.948%", "its 5 ops add up to 10.0 %"),
    (" 92.948%", " much", "not a row of its table of ops"),
    ("\t     0.000\t        1\tLiteRT::Run[Buffer sync]/0", "", "not a row of its table of ops"),
    ("     [%]", "  [part]", "no column"),
    ("Timings (microseconds)", "Times", "no table of ops")])
def test_a_table_of_ops_that_is_broken(was, becomes, words):
    text = published("litert")
    assert was in text
    with pytest.raises(BadReply, match=words):
        read(text.replace(was, becomes), profiled=True)


def test_ops_that_were_asked_for_and_are_not_there():
    with pytest.raises(BadReply, match="was it built with profiling"):
        read(published("quantiles"), profiled=True)


@given(st.sampled_from(["quantiles", "one_warm_up", "profiled", "litert"]), st.data())
def test_half_an_output_is_an_error_or_the_same(name, data):
    text = published(name)
    whole = read(text, profiled=name in ("profiled", "litert"))
    cut = text[:data.draw(st.integers(0, len(text)))]
    try:
        run = read(cut, profiled=bool(whole.ops))
    except BadReply:
        return
    assert (run.inference, run.init_us, run.ops) == (whole.inference, whole.init_us, whole.ops)


@given(st.binary(max_size=400))
def test_garbage_is_one_clear_error(noise):
    with pytest.raises(BadReply):
        parse(noise, profiled=True)


class Phone:
    """A transport whose program ends so."""

    name = "phone"

    def __init__(self, finished: Finished):
        self.finished, self.started = finished, []

    def push(self, files, executable=()):
        return {name: f"/data/local/tmp/edge/files/0/{name}" for name in files}

    def start(self, argv, **options):
        self.started = safe_words(argv)
        return self.finished


@pytest.mark.parametrize("finished, error, words", [
    (Finished(127, b"", b"sh: not found"), DeviceUnavailable, "does not start there: sh: not found"),
    (Finished(126, b"", b"sh: Exec format error"), DeviceUnavailable, "for this device's processor"),
    (Finished(1, b"", b"ERROR: Failed to load model"), BadReply, "code 1: ERROR: Failed to load model"),
    (Finished(137, b"", b""), BadReply, "code 137")])
def test_a_program_that_fails(finished, error, words):
    with pytest.raises(error, match=words) as raised:
        run_benchmark_model(Phone(finished), b"", b"")
    assert isinstance(raised.value, ToolchainError)


def test_its_log_may_go_to_either_output():
    text = published("quantiles").encode()
    for finished in (Finished(0, text, b""), Finished(0, b"", text)):
        assert run_benchmark_model(Phone(finished), b"", b"").inference.count == 50


def test_its_options_need_no_quoting():
    words = safe_words(command("/f/benchmark_model", "/f/model.tflite", 4, 2.5, 50, True))
    assert words[1:3] == ["--graph=/f/model.tflite", "--num_threads=4"]
    assert {"--min_secs=2.5", "--num_runs=50", "--enable_op_profiling=true"} <= set(words)
