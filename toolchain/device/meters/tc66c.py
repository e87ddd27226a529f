"""RDTech's TC66C, a meter in a USB-C cable, over its own USB port.

Asked "getva", it answers 192 bytes, encrypted with AES-256 in ECB mode by a key that is the same in all of
them: three blocks of 64 bytes, "pac1" to "pac3", each ending with its CRC-16/MODBUS (sigrok's wiki, RDTech
TC66C). In pac1, little-endian: 1e-4 V at 48, 1e-5 A at 52. Its serial number, at 12, is never read.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
import time

from toolchain.device.boards import MeterConfig
from toolchain.device.clock import raw_clock_s
from toolchain.device.meters.meter import Facts
from toolchain.device.meters.polled import Polled, Source
from toolchain.device.serial_port import SerialLine, connect
from toolchain.errors import BadReply, DeviceTimeout, DeviceUnavailable

BAUD = 115_200
KEY = bytes.fromhex("5821fa5601b2f02687ff1204622a4fb086f40260816f9a0ba7f106619ab87288")
ANSWER_BYTES, BLOCK_BYTES = 192, 64
PERIOD_S, ANSWER_S = 0.5, 1.0
TRIES = 3
VOLT_STEP, AMPERE_STEP = 1e-4, 1e-5
DIGITS = 5
"""Limits of an offset, in last digits of the current."""
FACTS = Facts(kind="tc66c", tier="external meter", rails=("USB-C supply",), reads="instant",
              rate_hz=1 / PERIOD_S, resolution=0.0, gain_error=0.01, offset_mw=0.0, jitter_s=0.02, lag_s=0.5,
              note="what its display shows, new about twice a second",
              source="sellers' listings, for which no laboratory stands: 0.5 per mille of the voltage, 1 per "
                     "mille + 5 digits of the current; taken as 1 % + 5 digits")


@dataclass(frozen=True)
class Answer:
    """volts: in steps of 1e-4; amperes: in steps of 1e-5, without a sign."""

    volts: float
    amperes: float

    @property
    def milliwatts(self) -> float:
        """Finer than the answer's own power, whose step is 0.1 mW."""
        return self.volts * self.amperes * 1000


def decoded(data: bytes) -> Answer:
    """Of 192 encrypted bytes. Raises BadReply."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    cipher = Cipher(algorithms.AES(KEY), modes.ECB()).decryptor()
    plain = cipher.update(data) + cipher.finalize()
    for number in (1, 2, 3):
        block = plain[(number - 1) * BLOCK_BYTES:number * BLOCK_BYTES]
        if block[:4] != f"pac{number}".encode() or crc16(block[:-4]) != int.from_bytes(block[-4:], "little"):
            raise BadReply(f"the TC66C's answer is damaged in block {number}")
    volts, amperes = (int.from_bytes(plain[at:at + 4], "little") for at in (48, 52))
    return Answer(volts * VOLT_STEP, amperes * AMPERE_STEP)


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS: polynomial 0x8005 reflected, from 0xFFFF (Modbus over serial line V1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


class Tc66c(Polled):
    """A Meter that is asked twice a second; its readings are what its display shows then."""

    def __init__(self, config: MeterConfig, now: Callable[[], float] = raw_clock_s,
                 sleep: Callable[[float], None] = time.sleep):
        super().__init__(self._survey_meter, now, sleep)
        self._config, self._name = config, f"meter '{config.name}'"
        self._line: SerialLine | None = None

    def close(self) -> None:
        """Stop, and let go of the meter."""
        super().close()
        if self._line is not None:
            self._line.close()
            self._line = None

    def _survey_meter(self) -> Source:
        """Its steps are of a power by the voltage that it shows now."""
        _require_cipher()
        self._line = connect(self._config.address, BAUD, self._name)
        volts = self._persist().volts
        step_mw = AMPERE_STEP * volts * 1000
        offset_mw = abs(self._config.offset_ma) * volts or DIGITS * step_mw
        facts = replace(FACTS, resolution=step_mw, offset_mw=offset_mw,
                        gain_error=self._config.gain_error or FACTS.gain_error)
        return Source(facts, lambda: self._persist().milliwatts)

    def _persist(self) -> Answer:
        """One answer; damaged ones are asked for again."""
        for attempt in range(TRIES):
            try:
                return self._ask()
            except (BadReply, DeviceTimeout):
                if attempt == TRIES - 1:
                    raise

    def _ask(self) -> Answer:
        while self._line.read(0):
            pass
        self._line.write(b"getva\r\n")
        data, deadline = b"", time.monotonic() + ANSWER_S
        while len(data) < ANSWER_BYTES and (left_s := deadline - time.monotonic()) > 0:
            data += self._line.read(left_s)
        if len(data) < ANSWER_BYTES:
            raise DeviceTimeout(f"{self._name} sent {len(data)} of {ANSWER_BYTES} bytes in {ANSWER_S:.1f} s; "
                                f"is it a TC66C, and is it switched on?")
        return decoded(data[:ANSWER_BYTES])


def _require_cipher() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise DeviceUnavailable("a TC66C's answers are encrypted, and the package 'cryptography' is missing; "
                                "pip install 'edge-toolchain[ssh]' brings it") from None
