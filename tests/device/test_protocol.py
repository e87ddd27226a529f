"""The host's side of the serial protocol, against a scripted device."""

import re
import zlib

import pytest

from toolchain.device import protocol
from toolchain.device.protocol import Dut, Inference, InferenceRun, Model
from toolchain.errors import DeviceUnavailable, InvalidMeasurement


class ScriptedLine:
    """Answers each command that is written with the lines that the script has for it, and "m-ready".

    raw: what came behind commands
    """

    def __init__(self, script: dict[str, list[str]], ready: bytes = b"m-ready\r\n", said: bytes = b""):
        self.script, self.ready, self.heard, self._waiting = script, ready, [], said
        self.raw = b""

    def write(self, data: bytes) -> None:
        split = data.partition if data.startswith(b"db raw") else data.rpartition
        commands, end, raw = split(b"%")
        assert len(commands) <= 80 and len(raw) <= 256
        self.raw += raw
        for command in (commands + end).decode("ascii").split("%")[:-1]:
            self.heard.append(command)
            lines = self.script.get(command, [f"e-[Unknown command: {command}]"])
            self._waiting += "".join(f"{line}\r\n" for line in lines).encode("latin-1") + self.ready

    def read(self, seconds: float) -> bytes:
        taken, self._waiting = self._waiting, b""
        return taken


class Deaf:
    """Takes everything and says what it always says.

    raw: what came
    """

    def __init__(self, says: bytes = b""):
        self.raw, self._says = b"", says

    def write(self, data: bytes) -> None:
        self.raw += data

    def read(self, seconds: float) -> bytes:
        return self._says


def dut(script: dict[str, list[str]]) -> Dut:
    return Dut(ScriptedLine(script), "board")


def loading(data: bytes, checksum: int | None = None) -> dict[str, list[str]]:
    """A device that takes these bytes as codes."""
    whole, rest = divmod(len(data), 256)
    assert rest and whole < 2, "commands tell pieces apart by their lengths"
    pieces = ["db raw 256"] * whole + [f"db raw {rest}"]
    crc = zlib.crc32(data) if checksum is None else checksum
    return {f"db codes {len(data)}": [f"m-[Expecting {len(data)} bytes]"], **{piece: [] for piece in pieces},
            pieces[-1]: ["m-load-done"], "db crc": [f"m-crc-{crc:08x}"]}


def test_greeting_skips_what_was_said_before(monkeypatch):
    monkeypatch.setattr(protocol, "HELLO_S", 0.01)
    line = ScriptedLine({}, said=b"\xff\x00e-[Fault]\r\nm-lap-us-3\r\nm-ready\r\n")
    board = Dut(line, "board")
    board.greet()
    line.script["name"] = ["m-name-dut-[mine]"]
    assert board.vendor() == "mine"
    assert line.heard[0] == "" and re.fullmatch("edge[0-9a-f]{8}", line.heard[1]) and line.heard[2] == "name"


def test_nobody_there(monkeypatch):
    monkeypatch.setattr(protocol, "HELLOS", 2)
    monkeypatch.setattr(protocol, "HELLO_S", 0.01)
    line = Deaf()
    message = "board says nothing: 2 hellos, 0 s apart, went unanswered; is our firmware on it"
    with pytest.raises(DeviceUnavailable, match=message):
        Dut(line, "board").greet()
    assert line.raw.count(0) == 256


def test_model():
    lines = ["m-digest-[ab12]", "m-arena-5504", "m-hz-25000000", "m-input-490", "m-input-7", "m-output-12"]
    assert dut({"model": lines}).model() == Model("ab12", 5504, 25_000_000, (490, 7), (12,))


def test_a_fault_is_told_at_once():
    line = ScriptedLine({"count": ["e-[Fault]"]}, ready=b"")
    with pytest.raises(InvalidMeasurement, match="board stopped at a fault in 'count'; was its firmware"):
        Dut(line, "board").count()


def test_a_model_without_a_size_is_not_believed():
    with pytest.raises(InvalidMeasurement, match=re.escape("board answered 'm-digest-[ab12]' to 'model'")):
        dut({"model": ["m-digest-[ab12]"]}).model()


def test_profile():
    lines = ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[kws01]"]
    assert dut({"profile": lines}).task() == "kws01"


def test_a_counted_inference():
    assert dut({"count": ["m-ticks-12", "m-empty-4", "m-stack-236"]}).count() == Inference(12, 4, 236)


def test_a_window_of_inferences():
    lines = ["m-warmup-start-2", "m-warmup-done", "m-infer-start-10", "m-lap-us-5000000000",
             "m-lap-us-5000012345", "m-infer-done", "m-results-[0.004,-0.250,1.000]"]
    assert dut({"infer 10 2": lines}).infer(10, 2) == InferenceRun(10, 12_345, (0.004, -0.25, 1.0))


def test_a_window_without_laps_is_of_firmware_for_energy():
    lines = ["m-warmup-start-0", "m-warmup-done", "m-infer-start-1", "m-infer-done", "m-results-[1.000]"]
    assert dut({"infer 1 0": lines}).infer() == InferenceRun(1, None, (1.0,))


@pytest.mark.parametrize("lines", [["m-lap-us-5", "m-results-[0.1]"], ["m-lap-us-5", "m-lap-us-6"]])
def test_a_window_that_lacks_something(lines):
    with pytest.raises(InvalidMeasurement, match="board answered 'm-lap-us-5 .*' to 'infer 1 0'"):
        dut({"infer 1 0": lines}).infer()


def test_results_that_are_no_numbers():
    with pytest.raises(InvalidMeasurement, match=re.escape("board: results '0.1,?.2' are no numbers")):
        dut({"results": ["m-results-[0.1,?.2]"]}).results()


def test_layers():
    lines = ["m-empty-2", "m-layer-12-[conv2d a [1]]", "m-layer-3-[relu]"]
    assert dut({"layers": lines}).layers() == (2, [("conv2d a [1]", 12), ("relu", 3)])


@pytest.mark.parametrize("lines", [[], ["m-layer-12-[relu]"], ["m-empty-2", "m-layer-1"]])
def test_layers_that_are_none(lines):
    with pytest.raises(InvalidMeasurement, match="to 'layers'; is it our firmware, of this version?"):
        dut({"layers": lines}).layers()


def test_inputs_are_sent_raw_256_bytes_at_a_time_each_at_a_multiple_of_16():
    first, second = b"%\n" * 130 + b"%", b"\x80\xff"
    data = first + bytes(11) + second
    line = ScriptedLine(loading(data))
    Dut(line, "board").load_codes([first, second])
    assert line.heard == ["db codes 274", "db raw 256", "db raw 18", "db crc"] and line.raw == data


def test_an_input_that_the_device_still_holds_is_not_sent_again():
    line = ScriptedLine(loading(b"abc"))
    board = Dut(line, "board")
    board.load_codes([b"abc"])
    board.load_codes([b"abc"])
    line.script["db crc"] = ["m-crc-00000000"]
    with pytest.raises(InvalidMeasurement):
        board.load_codes([b"abc"])
    assert line.heard.count("db codes 3") == 2


def test_an_input_that_arrives_damaged():
    message = "board: 3 bytes of input arrived damaged: their checksum is 00000007, not 352441c2"
    with pytest.raises(InvalidMeasurement, match=message):
        dut(loading(b"abc", checksum=7)).load_codes([b"abc"])


def test_a_load_that_is_not_done():
    script = loading(b"abc") | {"db raw 3": []}
    with pytest.raises(InvalidMeasurement, match="board answered '' to 'db raw 3'; is it our firmware"):
        dut(script).load_codes([b"abc"])


def test_an_input_as_mlperf_tiny_sends_it():
    line = ScriptedLine({"db load 2": ["m-[Expecting 2 bytes]"], "db 0180": ["m-load-done"]})
    Dut(line, "board").load(b"\x01\x80")
    assert line.heard == ["db load 2", "db 0180"]


def test_output_that_arrives_whole():
    data = bytes(range(10))
    lines = ["m-output-00-01-02-03-04-05-06-07", "m-output-08-09", f"m-crc-{zlib.crc32(data):08x}"]
    assert dut({"output 0": lines}).read_output(0) == data


@pytest.mark.parametrize("line", ["m-output-00-02", "m-output-00", "m-outpuX-00-01"])
def test_damaged_output_is_no_measurement(line):
    with pytest.raises(InvalidMeasurement, match="board: output 0 arrived damaged: . bytes, whose"):
        dut({"output 0": [line, f"m-crc-{zlib.crc32(bytes([0, 1])):08x}"]}).read_output(0)


def test_no_answer_in_time():
    line = ScriptedLine({"model": ["m-digest-[ab"]}, ready=b"m-rea")
    message = "board gave no answer to 'model' within 10 s; its last line is 'm-digest-"
    with pytest.raises(DeviceUnavailable, match=message):
        Dut(line, "board").model()


def test_an_error_is_told():
    message = re.escape("board answered 'e-[The stack overflowed]' to 'count'")
    with pytest.raises(InvalidMeasurement, match=message):
        dut({"count": ["e-[The stack overflowed]"]}).count()
