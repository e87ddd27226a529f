"""Files of statistics: what comes back is what was there, parts make the bytes of the whole, damage shows."""

from functools import reduce
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import msgspec
import numpy as np
import pytest

from tests.quantize.nets import Net
from tests.quantize.test_observers import content
from toolchain.errors import BadInput
from toolchain.quantize.observers import OBSERVER, Accumulator
from toolchain.quantize.stats_file import StatsFile, merge_stats, read_stats, runs_of, write_stats
from toolchain.recipe import CalibrateConfig

reals = st.floats(width=32, allow_nan=False, allow_infinity=False)


def graph_of(name: str = "net"):
    net = Net(name)
    return net.graph(net.conv(net.input("x", (1, 4, 4, 2)), 3, "conv"))


GRAPH = graph_of()
ABOUT = {"samples": "photos", "samples_sha256": "ab" * 32, "runtime": "litert", "runtime_version": "2.3.0"}


def file_of(values: np.ndarray, rows, observer: str = "mse", **changed) -> StatsFile:
    """Of samples (n, m) whose values both tensors of GRAPH take. changed: settings, or parts of ABOUT."""
    about = {name: changed.pop(name, value) for name, value in ABOUT.items()}
    stats = {}
    for name, factor in (("x", 1), ("conv", -2)):
        accumulator = Accumulator(CalibrateConfig(observer=observer, **changed))
        accumulator.add(values / 4 * factor, np.array(rows))
        stats[name] = accumulator.stats()
    return StatsFile.of(GRAPH, stats, rows, **about)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 50)).astype(np.float32)


@pytest.mark.parametrize("observer", OBSERVER)
@settings(max_examples=25)
@given(values=arrays(np.float32, st.tuples(st.integers(1, 4), st.just(3)), elements=reals))
def test_what_is_read_is_what_was_written_bit_for_bit(observer, values, tmp_path_factory):
    path = tmp_path_factory.mktemp("stats") / "stats.json"
    file = file_of(values, range(len(values)), observer)
    write_stats(path, file)
    again = read_stats(path)
    assert again == file
    config = CalibrateConfig(observer=observer)
    for name, stats in again.stats_for(GRAPH, config).items():
        assert content(stats) == content(file.stats[name])
        assert stats.range == file.tensors[name].range
    write_stats(path.with_name("again.json"), again)
    assert path.read_bytes() == path.with_name("again.json").read_bytes()


@pytest.mark.parametrize("observer", OBSERVER)
@settings(max_examples=15)
@given(cuts=st.sets(st.integers(1, 11), max_size=4), order=st.randoms())
def test_parts_in_any_order_make_the_bytes_of_the_whole(observer, cuts, order, tmp_path_factory):
    folder, values, rows = tmp_path_factory.mktemp("stats"), noise(12), np.array([*range(8), *range(40, 44)])
    parts = [file_of(values[i], rows[i], observer) for i in np.split(np.arange(12), sorted(cuts))]
    shuffled = order.sample(parts, len(parts))
    write_stats(folder / "whole", file_of(values, rows, observer))
    write_stats(folder / "left", reduce(merge_stats, shuffled))
    write_stats(folder / "right", reduce(lambda a, b: merge_stats(b, a), shuffled))
    whole = (folder / "whole").read_bytes()
    assert (folder / "left").read_bytes() == whole == (folder / "right").read_bytes()


def test_a_file_says_what_it_is_of(tmp_path):
    write_stats(tmp_path / "stats.json", file_of(noise(3), [4, 2, 3], "percentile", percentile=99.0))
    said = json.loads((tmp_path / "stats.json").read_bytes())
    assert (said["schema"], said["schema_version"]) == ("edge.statistics", 1)
    assert (said["graph"], said["graph_digest"]) == ("net", GRAPH.digest)
    assert {name: said[name] for name in ABOUT} == ABOUT
    assert said["observer"] == {"observer": "percentile", "percentile": 99.0}
    assert said["rows"] == [[2, 4]] and list(said["tensors"]) == ["conv", "x"]
    x = said["tensors"]["x"]
    assert x["count"] == 150 == sum(x["histogram"]["counts"])
    assert x["low"] <= x["range"][0] < x["range"][1] <= x["high"]


@given(st.sets(st.integers(0, 60), min_size=1))
def test_runs_are_short_and_name_each_row_once(rows):
    runs = runs_of(rows)
    assert sorted(rows) == [row for first, last in runs for row in range(first, last + 1)]
    assert all(after > before + 1 for (_, before), (after, _) in zip(runs, runs[1:]))


def test_the_rows_of_a_merged_file_are_joined_and_listed():
    merged = merge_stats(file_of(noise(2), [5, 6]), file_of(noise(3), [7, 0, 1]))
    assert merged.rows == ((0, 1), (5, 7)) and merged.seen_rows.tolist() == [0, 1, 5, 6, 7]


def test_rows_in_both_parts_are_refused():
    with pytest.raises(BadInput, match="^rows 3 to 4 of photos are in both statistics; merge parts that "
                                       "share no sample$"):
        merge_stats(file_of(noise(5), range(5)), file_of(noise(5), range(3, 8)))


@pytest.mark.parametrize(("change", "said"), [
    ({"samples": "other"}, 'samples is "photos" in one and "other" in the other'),
    ({"runtime_version": "2.4"}, 'runtime_version is "2.3.0" in one and "2.4" in the other'),
    ({"observer": "entropy"}, 'is {"observer":"mse"} in one and {"observer":"entropy"} in the other'),
])
def test_parts_of_different_calibrations_are_refused(change, said):
    with pytest.raises(BadInput, match="different calibrations") as error:
        merge_stats(file_of(noise(1), [0]), file_of(noise(1), [1], **change))
    assert said in str(error.value)


def test_statistics_of_another_graph_or_too_few_are_refused():
    file = file_of(noise(2), [0, 1])
    with pytest.raises(BadInput, match="these statistics are of graph net .digest .* not of other"):
        file.stats_for(graph_of("other"), CalibrateConfig(observer="mse"))
    short = msgspec.structs.replace(file, tensors={"x": file.tensors["x"]})
    with pytest.raises(BadInput, match="lack conv; calibrate it again"):
        short.stats_for(GRAPH, CalibrateConfig(observer="mse"))


def test_statistics_are_seen_by_another_observer_where_they_hold_what_it_needs():
    file = file_of(noise(2), [0, 1])
    assert file.stats_for(GRAPH, CalibrateConfig(observer="minmax"))["x"].range == (
        file.tensors["x"].low, file.tensors["x"].high)
    with pytest.raises(BadInput, match="moving_average needs the extremes of each sample"):
        file.stats_for(GRAPH, CalibrateConfig(observer="moving_average"))


def test_nan_is_not_written():
    with pytest.raises(ValueError, match="x, conv: NaN and Inf have no place"):
        file_of(np.full((1, 3), np.nan, np.float32), [0])


BEYOND = "is not within its extremes"
DAMAGE = {
    "an extreme beyond its bin": (lambda d: x_of(d).update(high=100.0), "not in its outermost bins"),
    "an extreme that is no float32": (lambda d: x_of(d).update(high=0.1), "no ordered float32 numbers"),
    "an infinite extreme": (lambda d: x_of(d).update(high=1e300), "no ordered float32 numbers"),
    "extremes upside down": (lambda d: x_of(d).update(low=3.0, high=-3.0), "no ordered float32 numbers"),
    "a range beyond the extremes": (lambda d: x_of(d).update(range=[-50.0, 50.0]), BEYOND),
    "a range upside down": (lambda d: x_of(d).update(range=[0.1, 0.0]), BEYOND),
    "a count that the bins do not hold": (lambda d: x_of(d).update(count=7), "its bins hold 200 values of 7"),
    "a huge count": (lambda d: counts_of(d).__setitem__(0, 2**70), "counts"),
    "a count of 0": (lambda d: counts_of(d).__setitem__(0, 0), "Expected `int` >= 1"),
    "a negative bin": (lambda d: bins_of(d).__setitem__(0, -1), "Expected `int` >= 0"),
    "a bin too many": (lambda d: bins_of(d).append(65536), "Expected `int` <= 65535"),
    "a bin without a count": (lambda d: counts_of(d).pop(), "bins have"),
    "bins that do not ascend": (lambda d: bins_of(d).reverse(), "its bins do not ascend"),
    "no histogram": (lambda d: x_of(d).pop("histogram"), "extremes alone, which observer mse does not leave"),
    "another observer": (lambda d: d["observer"].update(observer="minmax"), "minmax does not leave"),
    "an observer that is unknown": (lambda d: d["observer"].update(observer="median"), "'median'"),
    "a setting that is not read": (lambda d: d["observer"].update(percentile=99.0), "just the settings"),
    "a setting out of range": (lambda d: d.update(observer={"observer": "percentile", "percentile": 1e3}),
                               "<= 100"),
    "no tensors": (lambda d: d.update(tensors={}), "no tensors or no rows"),
    "no rows": (lambda d: d.update(rows=[]), "no tensors or no rows"),
    "rows without end": (lambda d: d.update(rows=[[0, 2**62]]), "not at most 100,000,000 in ascending runs"),
    "runs that overlap": (lambda d: d.update(rows=[[0, 3], [2, 5]]), "in ascending runs"),
    "a run upside down": (lambda d: d.update(rows=[[3, 0]]), "in ascending runs"),
    "another row": (lambda d: d.update(rows=[[1, 4]]), "it was changed since"),
    "another graph": (lambda d: d.update(graph_digest="0" * 64), "it was changed since"),
    "an unknown key": (lambda d: d.update(more=1), "unknown field `more`"),
    "another schema": (lambda d: d.update(schema="edge.artifact"), "'edge.artifact'"),
    "a later schema": (lambda d: d.update(schema_version=2), "Invalid enum value 2"),
    "a missing key": (lambda d: d.pop("runtime"), "missing required field `runtime`"),
    "no seal": (lambda d: d.pop("sha256"), "missing required field `sha256`"),
}


def x_of(content: dict) -> dict:
    return content["tensors"]["x"]


def bins_of(content: dict) -> list:
    return x_of(content)["histogram"]["bins"]


def counts_of(content: dict) -> list:
    return x_of(content)["histogram"]["counts"]


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_clear_error(name, tmp_path):
    damage, said = DAMAGE[name]
    path = tmp_path / "stats.json"
    write_stats(path, file_of(noise(4), range(4)))
    content = json.loads(path.read_bytes())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(BadInput, match=f"^{path}: no statistics file, or a damaged .*again$") as error:
        read_stats(path)
    assert said in str(error.value)


ROW_DAMAGE = {
    "a row's extremes upside down": (lambda r: r["low"].__setitem__(0, 99.0), "no ordered float32 numbers"),
    "extremes of no row": (lambda r: r["low"].__setitem__(np.argmin(r["low"]), 0.0), "not those of its rows"),
    "a row that is not the file's": (lambda r: r["rows"].__setitem__(-1, 99), "not those of the file"),
    "a row without extremes": (lambda r: r["rows"].append(99), "5 rows have 4 lows"),
    "rows that do not ascend": (lambda r: r["rows"].reverse(), "its rows do not ascend"),
}


@pytest.mark.parametrize("name", ROW_DAMAGE)
def test_damage_to_the_extremes_of_rows_is_one_clear_error(name, tmp_path):
    damage, said = ROW_DAMAGE[name]
    path = tmp_path / "stats.json"
    write_stats(path, file_of(noise(4), range(4), "moving_average"))
    content = json.loads(path.read_bytes())
    damage(content["tensors"]["x"]["by_row"])
    path.write_text(json.dumps(content))
    with pytest.raises(BadInput, match=f"a damaged one: tensor x: .*{said}"):
        read_stats(path)


@settings(max_examples=60)
@given(at=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_no_damaged_byte_gets_through(at, byte, tmp_path_factory):
    path = tmp_path_factory.mktemp("stats") / "stats.json"
    write_stats(path, file_of(noise(1), [0]))
    content = bytearray(path.read_bytes())
    at %= len(content)
    if content[at] != byte and not (chr(content[at]).isspace() and chr(byte).isspace()):
        content[at] = byte
        path.write_bytes(content)
        with pytest.raises(BadInput, match=f"^{path}: "):
            read_stats(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"PK\x03\x04"])
def test_files_of_anything_else_are_refused(content, tmp_path):
    (tmp_path / "stats.json").write_bytes(content)
    with pytest.raises(BadInput, match="no statistics file, or a damaged one"):
        read_stats(tmp_path / "stats.json")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match="nothing.json: No such file or directory; name a file that"):
        read_stats(tmp_path / "nothing.json")
