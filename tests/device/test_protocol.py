"""The host's side of the line protocol, against a scripted device."""

import re
import zlib

import pytest

from toolchain.device.protocol import Dut, Inference, Model
from toolchain.errors import DeviceUnavailable, InvalidMeasurement


class ScriptedLine:
    """Answers each line that is written with what the script has for it; raw bytes are kept aside."""

    def __init__(self, script: dict[str, bytes]):
        self.script, self.raw, self.timeout, self._waiting = script, b"", None, b""

    def write(self, data: bytes) -> int:
        for line in data.decode("latin-1").splitlines():
            if line in self.script:
                self._waiting += self.script[line]
            else:
                self.raw += line.encode("latin-1")
        return len(data)

    def read(self, size: int) -> bytes:
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        return taken

    def read_until(self, expected: bytes) -> bytes:
        end = self._waiting.find(expected)
        return self.read(end + 1 if end >= 0 else len(self._waiting))


def dut(script: dict[str, bytes]) -> Dut:
    return Dut(ScriptedLine(script), "board")


def test_greeting_skips_what_was_said_before(monkeypatch):
    monkeypatch.setattr("toolchain.device.protocol.HELLO_S", 0.01)
    dut({"hello edge0": b"\xff\x00rror fault\n", "hello edge1": b"ok hello edge0\nok hello edge1\n"}).greet()


def test_model_with_a_name_of_words():
    told = dut({"model": b"ok model ab12 5504 2 490 7 1 12 key words\n"}).model()
    assert told == Model("key words", "ab12", 5504, (490, 7), (12,))


def test_inference():
    assert dut({"infer": b"ok infer 12 4 236\n"}).infer() == Inference(12, 4, 236)


def test_input_is_sent_with_its_checksum():
    data = b"\x01\x02\x80"
    line = ScriptedLine({f"input 1 {zlib.crc32(data):08x}": b"ok input 1\n"})
    Dut(line, "board").write_input(1, data)
    assert line.raw == data


def test_output_that_arrives_whole():
    data = bytes(range(7))
    answer = f"ok output 0 7 {zlib.crc32(data):08x}\n".encode()
    assert dut({"output 0": answer + data}).read_output(0) == data


@pytest.mark.parametrize("data", [b"abcdefX", b"abc"])
def test_damaged_output_is_no_measurement(data):
    answer = f"ok output 0 7 {zlib.crc32(b'abcdefg'):08x}\n".encode()
    message = f"board: output 0 arrived damaged: {len(data)} of 7 bytes, or a wrong checksum"
    with pytest.raises(InvalidMeasurement, match=message):
        dut({"output 0": answer + data}).read_output(0)


def test_no_answer_in_time():
    with pytest.raises(DeviceUnavailable, match="board gave no answer to 'model' within 10 s"):
        dut({"model": b"ok mod"}).model()


def test_an_error_is_told():
    message = re.escape("board answered 'error the stack overflowed' to 'infer'")
    with pytest.raises(InvalidMeasurement, match=message):
        dut({"infer": b"error the stack overflowed\n"}).infer()
