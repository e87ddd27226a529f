"""A TC66C: 192 encrypted bytes on "getva", of a display that changes twice a second."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
import numpy as np

from tests.device.standins.load import Load

KEY = bytes.fromhex("5821fa5601b2f02687ff1204622a4fb086f40260816f9a0ba7f106619ab87288")
"""As sigrok's libsigrok (src/hardware/rdtech-tc) has it."""


def modbus_crc(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def answer(volts: float, amperes: float) -> bytes:
    """What it sends, encrypted."""
    blocks = []
    for number in (1, 2, 3):
        block = bytearray(60)
        block[:4] = f"pac{number}".encode()
        if number == 1:
            block[4:12] = b"TC661.14"
            block[12:16] = (123456).to_bytes(4, "little")
            for at, value in ((48, volts * 1e4), (52, amperes * 1e5), (56, volts * amperes * 1e4)):
                block[at:at + 4] = round(value).to_bytes(4, "little")
        blocks.append(bytes(block) + modbus_crc(bytes(block)).to_bytes(4, "little"))
    cipher = Cipher(algorithms.AES(KEY), modes.ECB()).encryptor()
    return cipher.update(b"".join(blocks)) + cipher.finalize()


class Tc66cStandIn:
    """Its faults, all off at first: gain and noise of the current, relative; share of spoilt answers, never
    two in a row.
    """

    def __init__(self, load: Load, seed: int = 0, volts: float = 5.0):
        self.load, self.volts, self.rng = load, volts, np.random.default_rng(seed)
        self.gain = self.noise = self.damage = 0.0
        self.streaming, self._spoilt = "", False

    def answer(self, data: bytes, now: float) -> bytes:
        assert data == b"getva\r\n"
        shown_s = now // 0.5 * 0.5
        amperes = float(self.load.mw(shown_s)) / 1000 / self.volts
        amperes *= (1 + self.gain) * (1 + self.noise * self.rng.standard_normal())
        sent = answer(self.volts, max(amperes, 0))
        self._spoilt = not self._spoilt and self.rng.random() < self.damage
        return bytes([sent[0] ^ self._spoilt]) + sent[1:]
