"""A meter's files and commands, on this host and over a transport."""

import pytest

from tests.device.meters.files import Shell, config
from toolchain.device.meters.pmic import survey_pmic
from toolchain.device.meters.system import Host, Remote
from toolchain.device.transports.transport import Finished
from toolchain.errors import BadReply, DeviceLost, DeviceUnavailable


def test_a_devices_system_is_read_by_cat_and_ls():
    system = Remote(Shell({("cat", "/sys/a"): Finished(0, b"12\n", b""),
                          ("ls", "/sys"): Finished(0, b"b\na\n", b""),
                          ("cat", "/sys/b"): Finished(1, b"", b"cat: /sys/b: Permission denied")}))
    assert system.read("/sys/a") == "12"
    assert system.names("/sys") == ["a", "b"] and system.names("/proc") == []
    with pytest.raises(DeviceUnavailable, match="/sys/b: permission denied"):
        system.read("/sys/b")
    with pytest.raises(DeviceUnavailable, match="/sys/c: no such file"):
        system.read("/sys/c")


def test_what_is_not_text_is_a_bad_reply(tmp_path):
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    with pytest.raises(BadReply, match="not ASCII"):
        Host().read(str(tmp_path / "file"))


def test_a_lost_device_keeps_its_own_error():
    class Gone:
        def start(self, argv, *, seconds, most_bytes):
            raise DeviceLost("pi: the connection broke")

    with pytest.raises(DeviceLost):
        survey_pmic(config("pmic", gain_error=0.02), Remote(Gone()))
