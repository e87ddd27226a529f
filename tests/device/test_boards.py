from pathlib import Path

import asyncssh
import pytest

from toolchain.device.boards import boards_file, find_board, load_boards
from toolchain.device.meters.kinds import METER
from toolchain.errors import BadConfig, DeviceUnavailable
from toolchain.profile import load_target

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs/examples/boards.toml"


def test_the_example_has_every_way_to_reach_a_board_and_nothing_unknown():
    found = load_boards(EXAMPLE)
    ways = {board.transport for board in found.boards.values()}
    assert ways == {"ssh", "adb", "serial", "local", "virtual", "labgrid"}
    assert any(board.address.startswith("rfc2217://") for board in found.boards.values())
    assert all(meter.kind in METER for meter in found.meters.values())
    assert {name for board in found.boards.values() for name in board.meters} == set(found.meters)
    assert all(board.name == name for name, board in found.boards.items())


@pytest.mark.parametrize("name", load_boards(EXAMPLE).boards)
def test_the_example_names_targets_that_are_there(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert load_target(find_board(name, EXAMPLE).target)


def test_the_key_of_the_example_is_one():
    key = asyncssh.import_public_key(find_board("kitchen-pi", EXAMPLE).host_key)
    assert key.get_algorithm() == "ssh-ed25519"


def test_a_board_that_is_not_there(tmp_path):
    with pytest.raises(DeviceUnavailable, match="no board 'x'; known: pi-virt, android-virt. Name it in"):
        find_board("x", tmp_path / "boards.toml")


def test_a_virtual_machine_is_emulated_whatever_its_entry_says(tmp_path):
    file = tmp_path / "boards.toml"
    file.write_text('[boards.old]\ntarget = "android_armv7"\ntransport = "virtual"\n'
                    'address = "android-virt"\nemulated = false\n')
    assert find_board("old", file).emulated


def test_a_meter_that_is_not_there(tmp_path):
    file = tmp_path / "boards.toml"
    file.write_text('[boards.pi]\ntarget = "raspberry_pi_4"\ntransport = "ssh"\nmeters = ["ppk2"]\n')
    with pytest.raises(BadConfig, match=r"board 'pi' names the meter 'ppk2', which has no \[meters.ppk2\]"):
        load_boards(file)


@pytest.mark.parametrize(("lines", "words"), [
    ('[boards."../../x"]\ntarget = "host"\ntransport = "local"', "'../../x' names no board or meter"),
    ('[boards.host]\ntarget = "host"\ntransport = "local"', "'host' names no board or meter"),
    ('[meters."a b"]\nkind = "ppk2"', "'a b' names no board or meter"),
    ('[boards.a]\ntarget = "host"\ntransport = "local"\nname = "b"', "leave out `name`"),
    ('[boards.a]\ntarget = "host"\ntransport = "ssh"', "board 'a' has no address; ssh needs one"),
    ('[boards.a]\ntarget = "host"\ntransport = "serial"', "board 'a' has no address; serial needs one"),
    ('[boards.a]\ntarget = "host"\ntransport = "local"\nplace = "b"', "a place, which local does nothing")])
def test_an_entry_that_cannot_be(tmp_path, lines, words):
    file = tmp_path / "boards.toml"
    file.write_text(lines)
    with pytest.raises(BadConfig, match=words):
        load_boards(file)


@pytest.mark.parametrize(("line", "words"), [
    ('transport = "telnet"', "transport: .*'telnet'.*it can be ssh, adb"), ("port = 0", "port: "),
    ("port = 70000", "port: "), ("baud = -1", "baud: "),
    ("adress = 1", "unknown key 'boards.pi.adress'; did you mean 'boards.pi.address'")])
def test_a_wrong_value_is_named(tmp_path, line, words):
    file = tmp_path / "boards.toml"
    stated = {"target": 'target = "raspberry_pi_4"', "transport": 'transport = "ssh"', line.split()[0]: line}
    file.write_text("[boards.pi]\n" + "\n".join(stated.values()))
    with pytest.raises(BadConfig, match=words):
        load_boards(file)


def test_the_file_is_the_one_named_else_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGE_BOARDS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert boards_file() == Path("boards.toml")
    (tmp_path / "config/edge").mkdir(parents=True)
    (tmp_path / "config/edge/boards.toml").touch()
    assert boards_file() == tmp_path / "config/edge/boards.toml"
    (tmp_path / "boards.toml").touch()
    assert boards_file() == Path("boards.toml")
    monkeypatch.setenv("EDGE_BOARDS", "/elsewhere.toml")
    assert boards_file() == Path("/elsewhere.toml")
