"""Which hosts may connect, by their RSA keys."""

import base64
import binascii
import struct

SHA1 = bytes.fromhex("3021300906052b0e03021a05000414")  # DigestInfo of SHA-1 (PKCS #1 v1.5, RFC 8017 9.2)


class Keys:
    """Hosts that may connect. mode: "any" takes every new key, "listed" only those given, "never" none."""

    def __init__(self, mode: str, listed: list[str]):
        self.mode = mode
        self.allowed = [key for line in listed if (key := self.parse(line.encode()))]

    @staticmethod
    def parse(line: bytes) -> tuple[int, int] | None:
        """(modulus, exponent) of base64 of words, n0inv, n, rr, e (little endian), then a name."""
        try:
            blob = base64.b64decode(line.split(b" ")[0].rstrip(b"\0"), validate=True)
            words, = struct.unpack_from("<I", blob)
            exponent, = struct.unpack_from("<I", blob, 8 + 8 * words)
        except (binascii.Error, struct.error):
            return None
        return int.from_bytes(blob[8:8 + 4 * words], "little"), exponent

    def signed(self, token: bytes, signature: bytes) -> bool:
        """Whether one of the allowed keys signed the token, which takes the place of a SHA-1 digest."""
        for modulus, exponent in self.allowed:
            size = (modulus.bit_length() + 7) // 8
            padded = b"\0\1" + b"\xff" * (size - 3 - len(SHA1) - len(token)) + b"\0" + SHA1 + token
            if pow(int.from_bytes(signature, "big"), exponent, modulus) == int.from_bytes(padded, "big"):
                return True
        return False

    def accept(self, line: bytes) -> bool:
        """A host shows its key: what the owner of the phone answers."""
        if self.mode != "any" or not (key := self.parse(line)):
            return False
        self.allowed.append(key)
        return True
