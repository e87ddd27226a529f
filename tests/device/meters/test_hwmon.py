"""TI's power monitors, as Linux shows them."""

import pytest

from tests.device.meters.files import config, ina226, tree
from toolchain.device.meters.hwmon import survey_hwmon
from toolchain.device.meters.system import Host
from toolchain.errors import BadConfig, BadReply, DeviceUnavailable


def test_an_ina226_in_its_own_units(tmp_path):
    source = survey_hwmon(config("hwmon", ina226(tmp_path)), Host(), "external meter")
    assert source.read() == pytest.approx(2506.25)
    assert source.facts.resolution == pytest.approx(6.25) and source.facts.offset_mw == pytest.approx(5.0)
    assert source.facts.gain_error == pytest.approx(0.012) and source.facts.lag_s == pytest.approx(0.070)


def test_a_shunt_that_the_user_measured_corrects_and_narrows(tmp_path):
    source = survey_hwmon(config("hwmon", ina226(tmp_path), shunt_uohm=10250), Host(), "external meter")
    assert source.read() == pytest.approx(2506.25 / 1.025) and source.facts.gain_error == pytest.approx(0.002)


def test_an_ina260_has_its_shunt_inside_and_an_ina219_no_interval(tmp_path):
    facts = survey_hwmon(config("hwmon", tree(tmp_path / "a", name="ina260", in1_input=5000, power1_input=0)),
                         Host(), "rail monitor").facts
    assert (facts.resolution, facts.offset_mw, facts.rails) == (10.0, 25.0, ("ina260",))
    facts = survey_hwmon(config("hwmon", tree(tmp_path / "b", name="ina219", in1_input=5000, power1_input=0,
                                              shunt_resistor=100_000)), Host(), "rail monitor").facts
    assert facts.resolution == pytest.approx(2.0) and facts.rate_hz == 10 and facts.lag_s < 0.003


@pytest.mark.parametrize("files, error, said", [
    ({"name": "coretemp"}, BadConfig, "is a 'coretemp'; known: ina219, ina226, ina260"),
    ({"shunt_resistor": 0}, BadConfig, "write the shunt's value"),
    ({"in1_input": "5 V"}, BadReply, "'5 V' where a whole number")])
def test_what_no_ina_would_say(tmp_path, files, error, said):
    with pytest.raises(error, match=said):
        survey_hwmon(config("hwmon", ina226(tmp_path, **files)), Host(), "external meter")


def test_the_only_ina_is_found_and_two_must_be_named(tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.device.meters.hwmon.FOLDER", str(tmp_path))
    with pytest.raises(DeviceUnavailable, match="0 power monitors.*modprobe ina2xx"):
        survey_hwmon(config("hwmon"), Host(), "external meter")
    ina226(tmp_path)
    tree(tmp_path / "hwmon0", name="coretemp")
    assert survey_hwmon(config("hwmon"), Host(), "external meter").read() > 0
    tree(tmp_path / "hwmon5", name="ina219")
    with pytest.raises(DeviceUnavailable, match="2 power monitors.*name one of them"):
        survey_hwmon(config("hwmon"), Host(), "external meter")
