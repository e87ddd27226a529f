"""The order of kernel modules, and the initial RAM disk, read back by its format's description."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from toolchain.device.machines.kernel import dependencies, initramfs, load_order, module_files
from toolchain.errors import DeviceUnavailable

NAMES = [f"module_{i}" for i in range(12)]


@st.composite
def acyclic(draw) -> dict[str, list[str]]:
    """Each module depends on some of those before it."""
    order = draw(st.permutations(NAMES))
    return {name: draw(st.lists(st.sampled_from(order[:i]), unique=True)) if i else []
            for i, name in enumerate(order)}


@given(acyclic(), st.lists(st.sampled_from([*NAMES, "built_in"]), min_size=1))
def test_every_module_comes_once_and_behind_what_it_needs(modules, wanted):
    order = load_order(modules, wanted)
    assert len(order) == len(set(order)) and set(wanted) - {"built_in"} <= set(order)
    for position, name in enumerate(order):
        assert set(modules[name]) <= set(order[:position])


def test_a_circle_is_named():
    with pytest.raises(DeviceUnavailable, match="a > b > a"):
        load_order({"a": ["b"], "b": ["a"]}, ["a"])


@pytest.mark.parametrize("info, names", [
    (b"\0depends=\0", []), (b"\0depends=jbd2,crc-itu\0", ["jbd2", "crc_itu"]), (b"no such word", []),
    (b"\0author=x\0depends=a\0name=b\0", ["a"])])
def test_dependencies_are_read_from_the_modules_own_words(info, names):
    assert dependencies(b"\x7fELF" + info + bytes(9)) == names


def test_modules_are_found_by_either_spelling_and_only_those_needed(tmp_path):
    for name, needs in {"virtio_mmio": "", "virtio_blk": "", "virtio_net": "net-failover", "net-failover": "",
                        "ext4": "jbd2", "jbd2": "", "unrelated": ""}.items():
        (tmp_path / "kernel").mkdir(exist_ok=True)
        (tmp_path / "kernel" / f"{name}.ko").write_bytes(b"\0depends=" + needs.encode() + b"\0")
    assert [name for name, _ in module_files(tmp_path)] == [
        "virtio_mmio", "virtio_blk", "net_failover", "virtio_net", "jbd2", "ext4"]


def unpacked(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Name -> (mode, data) of a newc archive, by the kernel's description of it."""
    found, at = {}, 0
    while True:
        assert archive[at:at + 6] == b"070701" and at % 4 == 0
        fields = [int(archive[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[at + 110:at + 110 + name_size]
        assert name.endswith(b"\0")
        begin = (at + 110 + name_size + 3) // 4 * 4
        if name == b"TRAILER!!!\0":
            return found
        found[name[:-1].decode()] = mode, archive[begin:begin + size]
        at = (begin + size + 3) // 4 * 4


@given(st.binary(max_size=9), st.binary(max_size=9), st.lists(st.binary(max_size=9), max_size=3))
def test_the_ram_disk_holds_what_was_put_in(init, busybox, modules):
    found = unpacked(initramfs(init, busybox, [(f"m{i}", data) for i, data in enumerate(modules)]))
    assert found["init"] == (0o100755, init) and found["bin/busybox"] == (0o100755, busybox)
    assert [found[f"modules/{i:02}-m{i}.ko"][1] for i in range(len(modules))] == modules
    assert found["dev"][0] == found["proc"][0] == found["disk"][0] == 0o040755
