"""What vcgencmd and dumpsys print, read strictly."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from tests.device.conditions.recorded import BATTERY, NO_HAL, PI, PIXEL
from toolchain.device.conditions.commands import (
    COMMANDS,
    arm_clock,
    battery,
    chip_temperature,
    flags_now,
    flags_since_boot,
    low_power,
    thermal_service,
    throttled_bits,
)
from toolchain.errors import BadReply


@pytest.mark.parametrize("value, now, since", [
    (0x0, [], []), (0x50005, ["under-voltage", "throttled"], ["under-voltage", "throttled"]),
    (0x50000, [], ["under-voltage", "throttled"]), (0x2, ["ARM frequency capped"], []),
    (0x80008, ["soft temperature limit"], ["soft temperature limit"]),
    (0xE0000, [], ["ARM frequency capped", "throttled", "soft temperature limit"])])
def test_all_flags_have_their_meaning(value, now, since):
    assert throttled_bits(f"throttled={value:#x}\n") == {"throttled": {"": value}}
    assert (flags_now(value), flags_since_boot(value)) == (now, since)


def test_a_raspberry_pi_tells_temperature_and_clock():
    assert chip_temperature(PI["vcgencmd measure_temp"]) == {"chip_celsius": {"": 52.7}}
    assert arm_clock(PI["vcgencmd measure_clock arm"]) == {"arm_hz": {"": 2400033792}}


def test_a_phone_tells_what_its_hal_measures_now():
    assert thermal_service(PIXEL) == {
        "thermal_status": {"": 0},
        "skin_celsius": {"GPU G3D": 36.0, "CPU MID": 52.000004, "skin VIRTUAL-SKIN": 22.771002,
                         "battery battery": 29.6}}


def test_cached_temperatures_are_no_temperatures():
    assert thermal_service(NO_HAL) == {"thermal_status": {"": 2}}


def test_the_battery_of_a_phone():
    assert battery(BATTERY) == {"battery_percent": {"": 84}, "battery_status": {"": 2},
                                "battery_decicelsius": {"": 296}}
    assert [low_power(text)["battery_saver"][""] for text in ("0\n", "1\n", "null\n")] == [0, 1, 0]


@pytest.mark.parametrize("parse, text", [
    (throttled_bits, "throttled=0x0; reboot"), (throttled_bits, "VCHI initialization failed"),
    (throttled_bits, "throttled=0x123456789"), (chip_temperature, "temp=hot'C"), (arm_clock, "frequency(0)="),
    (thermal_service, ""), (thermal_service, "Thermal Status: 7\n"),
    (thermal_service, PIXEL.replace("mValue=36.0", "mValue=warm")), (battery, "  level: full\n"),
    (low_power, "cmd: Can't find service: settings")])
def test_anything_else_is_a_bad_reply(parse, text):
    with pytest.raises(BadReply):
        parse(text)


@given(st.text(max_size=300))
def test_no_text_breaks_a_parser(text):
    for parse in (parse for commands in COMMANDS.values() for parse in commands.values()):
        try:
            parse(text)
        except BadReply:
            pass
