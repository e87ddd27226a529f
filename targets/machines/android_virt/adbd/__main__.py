"""An ADB daemon over TCP, for a machine that is no phone: Debian's own `adb` program connects to it.

It speaks the device's side of AOSP's protocol.txt, SYNC.TXT and shell_protocol.h: CNXN, AUTH with the host's
RSA signature, shell: with and without the v2 protocol, exec:, sync:. It forwards no ports and has no pty,
logcat or installer. Standard library only, Python 3.11 and later; `python3 FOLDER` runs it.
"""

import argparse
import asyncio
import contextlib
import os
import sys

from connection import Connection
from device import Device


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(usage="python3 adbd PORT [options] [-- PREFIX...]", description=__doc__,
                                     epilog="Commands run as PREFIX sh -c COMMAND; such as: chroot /android")
    option = parser.add_argument
    option("port", type=int, help="0: any free one; the first line printed says which")
    option("--listen", default="127.0.0.1", metavar="ADDRESS")
    option("--root", help="what paths are below; that of chroot, else /")
    option("--path", default="/system/bin:/system/xbin:/vendor/bin", help="PATH of commands")
    option("--auth", choices=("any", "listed", "never"), default="any", help="hosts that may connect")
    option("--keys", help="file of public keys, one a line as in adbkey.pub")
    option("--faults", help="JSON file of what goes wrong")
    option("--old", action="store_true", help="as Android 6: no features, 4 KiB packets with sums")
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:end])
    options.prefix = arguments[end + 1:]
    chroot = [os.path.basename(word) for word in options.prefix[:-1]] == ["chroot"]
    options.root = options.root or (options.prefix[-1] if chroot else "/")
    return options


async def main() -> None:
    options = parse_options()
    device = Device(options)
    server = await asyncio.start_server(lambda *ends: Connection(device, *ends).run(), options.listen,
                                        options.port)
    print("adbd listens on port", server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
