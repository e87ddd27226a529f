"""The machine that every connection is to."""

import argparse
import os
from pathlib import Path
import shutil

from command import Command
from faults import Faults
from keys import Keys
from packets import NEW, OLD
from stream import Stream
from sync import Sync


class Device:
    """What every connection shares: the machine's root, keys, features and faults."""

    def __init__(self, options: argparse.Namespace):
        prefix = options.prefix
        self.prefix = [shutil.which(prefix[0]) or prefix[0], *prefix[1:]] if prefix else []
        self.root = os.path.abspath(options.root)
        self.keys = Keys(options.auth, Path(options.keys).read_text().splitlines() if options.keys else [])
        self.faults = Faults(options.faults)
        self.version = OLD if options.old else NEW
        names = "".join(f"ro.product.{key}=standin;" for key in ("name", "model", "device"))
        self.banner = f"device::{names}" + ("" if options.old else "features=shell_v2,cmd,stat_v2")
        self.environment = {"PATH": options.path, "HOME": "/", "TMPDIR": "/data/local/tmp",
                            "ANDROID_ROOT": "/system", "ANDROID_DATA": "/data"}

    async def serve(self, stream: Stream) -> None:
        name, _, command = stream.service.partition(":")
        if name == "sync":
            await Sync(stream, self.root, self.faults).run()
        else:
            argv = [*self.prefix, "sh", *(["-c", command] if command else [])]
            await Command(stream, argv, self.environment, "v2" in name.split(",")).run()
