"""Packets of ADB (protocol.txt): six words, little endian, and bytes behind them."""

import struct

CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = (int.from_bytes(name, "little")
                                      for name in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE"))
HEADER = struct.Struct("<6I")  # command, arg0, arg1, bytes that follow, their sum, command ^ 0xffffffff
OLD, NEW = 0x01000000, 0x01000001  # protocol versions: the new one sends no sums
MOST_BYTES = {OLD: 4096, NEW: 256 * 1024}  # of a packet
TOKEN, SIGNATURE, PUBLIC_KEY = 1, 2, 3  # AUTH's arg0
