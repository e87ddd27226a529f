"""What a campaign's file stands for."""

from pathlib import Path
import shutil

import pytest

from toolchain.campaign.plan import content_digest, load_campaign
from toolchain.errors import BadConfig, BadInput, DeviceUnavailable

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
BOARDS = """
[boards.kitchen]
target = "raspberry_pi_4"
transport = "ssh"
address = "pi@192.168.7.9"
meters = ["ppk2"]

[meters.ppk2]
kind = "ppk2"
"""
WANTED = """
devices = ["host", "cortex_m4_qemu", "kitchen"]

[models.small]
file = "small.tflite"

[models.own]
file = "own.py:network"
data = "own.npz"

[recipes]
int8 = "int8.toml"
float = "float.toml"

[measure]
seconds = 2.0
"""


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Path:
    """A folder with a campaign, its models, recipes and boards."""
    shutil.copy(GOLDEN / "int8.tflite", tmp_path / "small.tflite")
    for name, text in {"own.py": "def network(): ...\ndef other(): ...", "own.npz": "samples",
                       "int8.toml": "", "float.toml": '[quantize]\nscheme = "float32"', "boards.toml": BOARDS,
                       "week.toml": WANTED}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
    return tmp_path


def keys(bench: Path) -> dict[str, str]:
    return {str(job): job.key for job in load_campaign(bench / "week.toml").jobs}


def changed(bench: Path, edit) -> set[str]:
    """The jobs that are others after an edit."""
    before = keys(bench)
    edit()
    after = keys(bench)
    return {job for job in before if before[job] != after.get(job)}


def test_every_model_by_every_recipe_on_every_device(bench):
    campaign = load_campaign(bench / "week.toml")
    assert campaign.name == "week" and len(campaign.jobs) == 2 * 2 * 3
    job = next(job for job in campaign.jobs if str(job) == "own by float on kitchen")
    assert (job.source.file, job.source.data) == (f"{bench}/own.py:network", f"{bench}/own.npz")
    assert job.decided.quantize.scheme == "float32" and job.measure.seconds == 2.0
    assert job.profile.name == "raspberry_pi_4" and job.resources == ("device:kitchen", "meter:ppk2")


def test_the_host_is_had_alone_an_emulator_by_everybody(bench):
    found = {job.device: job.resources for job in load_campaign(bench / "week.toml").jobs}
    assert found["host"] == ("device:host",) and found["cortex_m4_qemu"] == ()


def test_without_recipes_there_is_one_of_defaults(bench):
    (bench / "week.toml").write_text('devices = ["host"]\n[models.small]\nfile = "small.tflite"')
    job, = load_campaign(bench / "week.toml").jobs
    assert job.recipe == "defaults"


def test_a_job_is_known_by_what_its_result_depends_on(bench):
    def write(name: str, text: str):
        return lambda: (bench / name).write_text(text)

    assert changed(bench, lambda: None) == set()
    assert changed(bench, write("own.npz", "others")) == {job for job in keys(bench) if job.startswith("own")}
    assert changed(bench, write("int8.toml", "seed = 1")) == {job for job in keys(bench) if "by int8" in job}
    assert changed(bench, write("int8.toml", "seed = 0")) == {job for job in keys(bench) if "by int8" in job}
    assert changed(bench, write("week.toml", WANTED.replace("own.py:network", "own.py:other"))) == {
        job for job in keys(bench) if job.startswith("own")}
    assert changed(bench, write("week.toml", WANTED.replace("2.0", "3.0"))) == set(keys(bench))


def test_the_same_elsewhere_is_the_same_job(bench, tmp_path_factory):
    there = tmp_path_factory.mktemp("elsewhere") / "bench"
    shutil.copytree(bench, there)
    assert keys(there) == keys(bench)


def test_artefacts_are_shared_by_devices_of_one_kind(bench):
    (bench / "boards.toml").write_text(BOARDS + BOARDS[:BOARDS.index("meters")].replace("kitchen", "lab"))
    (bench / "week.toml").write_text(WANTED.replace('"kitchen"]', '"kitchen", "lab"]'))
    found = load_campaign(bench / "week.toml").jobs
    of = {job.device: job for job in found if (job.model, job.recipe) == ("small", "int8")}
    assert of["kitchen"].build_key == of["lab"].build_key != of["host"].build_key
    assert of["kitchen"].key != of["lab"].key


def test_what_is_the_same_twice_is_one_job(bench):
    (bench / "float.toml").write_text("")
    assert len(load_campaign(bench / "week.toml").jobs) == 2 * 3


@pytest.mark.parametrize("text, message", [
    (WANTED.replace("devices", "device"), "unknown key 'device'; did you mean 'devices'"),
    (WANTED + "second = 3", "unknown key 'measure.second'; did you mean 'measure.seconds'"),
    ('devices = []\n[models.a]\nfile = "a"', "devices: expected array of length >= 1"),
    ('devices = ["host"]\nmodels = {}', "models: expected object of length >= 1"),
    ("devices = [", "not valid TOML"), (WANTED.replace("2.0", "-1.0"), "seconds: expected float > 0")])
def test_a_wrong_file_is_told_where(bench, text, message):
    (bench / "week.toml").write_text(text)
    with pytest.raises(BadConfig, match="week.toml") as caught:
        load_campaign(bench / "week.toml")
    assert message in str(caught.value)


def test_what_is_missing_is_named(bench):
    (bench / "week.toml").write_text(WANTED.replace('"kitchen"', '"cellar"'))
    with pytest.raises(DeviceUnavailable, match="no device 'cellar'; boards.toml has .*kitchen.* cortex_m4"):
        load_campaign(bench / "week.toml")
    (bench / "week.toml").write_text(WANTED)
    (bench / "small.tflite").unlink()
    with pytest.raises(BadInput, match="small.tflite: no such file or folder"):
        load_campaign(bench / "week.toml")


@pytest.mark.parametrize("key, own", [("teacher", "teacher.onnx"), ("loss", "own.py:other")])
def test_what_a_recipe_trains_with_is_part_of_a_job(bench, key, own):
    """Another model's content, and code of the user's own."""
    file = bench / own.partition(":")[0]
    file.write_text("one")
    (bench / "float.toml").write_text(f'[train]\nepochs = 1\n{key} = "{bench / own}"\n')
    others = {job for job in keys(bench) if "by float" in job}
    assert changed(bench, lambda: file.write_text("another")) >= others


def test_a_folder_is_what_its_files_are(tmp_path):
    for name in ("a/x", "a/sub/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    first = content_digest(str(tmp_path / "a"))
    (tmp_path / "a/sub/y").rename(tmp_path / "a/sub/z")
    second = content_digest(str(tmp_path / "a"))
    assert len({first, second, content_digest(str(tmp_path / "a/x")), content_digest("har_watch")}) == 4


def test_the_example_is_a_campaign():
    campaign = load_campaign(Path(__file__).resolve().parents[2] / "docs" / "examples" / "campaign.toml")
    assert [str(job) for job in campaign.jobs] == ["har_watch by as it is on host",
                                                  "har_watch by as it is on cortex_m4_qemu"]
    assert campaign.jobs[0].source.data == "har_watch"
