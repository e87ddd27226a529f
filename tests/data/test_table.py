"""CSV of sensor readings: windows within a recording, and a bad cell named by line and column."""

import numpy as np
import pytest

from toolchain.data import Rows, load_samples
from toolchain.errors import BadConfig, BadSamples

HEADER = "time,ax,ay,who,what,part"


def write(folder, lines, manifest="", name="a.csv"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(lines))
    (folder / "manifest.toml").write_text(f'kind = "table"\n{manifest}')
    return folder


def readings(who, what, part, count, start=0):
    return [f"{i},{i},{i * 10},{who},{what},{part}" for i in range(start, start + count)]


TABLE = ('[table]\nignore = ["time"]\ngroup = "who"\nlabel = "what"\nsplit = "part"\nwindow = 4\nstep = 2\n')


def test_windows_stay_within_a_recording(tmp_path):
    lines = [HEADER, *readings("ann", "walk", "train", 9), *readings("ann", "run", "train", 4),
             *readings("bob", "run", "test", 7)]
    samples = load_samples(write(tmp_path, lines, TABLE))
    assert isinstance(samples.x["x"], Rows) and samples.channels == ("ax", "ay")
    assert samples.x["x"][:][:, 0, 0].tolist() == [0, 2, 4, 0, 0, 2]
    assert samples.classes == ("run", "walk") and samples.y.tolist() == [1, 1, 1, 0, 0, 0]
    assert len(samples.split("test")) == 2
    window = samples.split("test").feeds(slice(1, 2))["x"][0]
    assert np.array_equal(window, [[i, i * 10] for i in range(2, 6)])


def test_files_are_recordings_of_their_own(tmp_path):
    write(tmp_path, ["a;b", *["1;2"] * 5], name="one.csv")
    write(tmp_path, ["a;b", *["3;4"] * 5], "[table]\nwindow = 4\n", name="two.csv")
    assert load_samples(tmp_path).x["x"][:][:, 0].tolist() == [[1, 2], [3, 4]]


def test_a_row_is_a_sample_where_no_window_is_stated(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n5.5,-6e-1\n")
    samples = load_samples(tmp_path / "a.csv")
    assert np.array_equal(samples.x["x"][:], np.float32([[1, 2], [3, 4], [5.5, -0.6]]))
    assert samples.y is None and samples.splits is None


def test_labels_that_are_numbers_stay_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("v,class\n1,10\n2,9\n")
    (tmp_path / "a.toml").write_text('kind = "table"\n[table]\nlabel = "class"\n')
    assert load_samples(tmp_path / "a.csv").y.tolist() == [10, 9]


def test_columns_come_in_the_order_asked_for_and_normalised(tmp_path):
    write(tmp_path, [HEADER, *readings("a", "b", "train", 3)],
          '[table]\ncolumns = ["ay", "ax"]\n[preprocessing]\nmean = [10.0, 0.0]\nscale = 10.0\n')
    assert load_samples(tmp_path).feeds(slice(2, 3))["x"][0].tolist() == pytest.approx([1, 0.2])


@pytest.mark.parametrize("line, message", [
    ("3,oops,1,a,b,train", r"a.csv: line 3, column 'ax': 'oops' is no finite number; repair it"),
    ("3,1,,a,b,train", r"line 3, column 'ay': '' is no finite number"),
    ("3,1,nan,a,b,train", r"line 3, column 'ay': 'nan' is no finite number"),
    ("3,1,1e39,a,b,train", r"line 3, column 'ay': '1e39' is no finite number"),
    ("3,1,2", r"line 3 has 3 cells, but the first has 6"),
    ("3,1,2,a,b,dev", r"split 'dev' is none of train, calibration, selection, test"),
    ("3,1,2,a,b,test", r"group a is in more than one split: samples leak"),
])
def test_what_is_wrong_with_a_line_is_said(tmp_path, line, message):
    with pytest.raises(BadSamples, match=message):
        load_samples(write(tmp_path, [HEADER, *readings("a", "b", "train", 1), line],
                           '[table]\nignore = ["time"]\ngroup = "who"\nlabel = "what"\nsplit = "part"\n'))


@pytest.mark.parametrize("text, message", [
    ("a,b,a\n1,2,3\n", "has two columns 'a'; give each a name of its own"),
    ("a,b\n", "holds no rows but the names of its columns"),
    ("nan,2\n3,4\n", "line 1, column '0': 'nan' is no finite number"),
    ("1,,3\n3,4,5\n", "line 1, column '1': '' is no finite number"),
])
def test_no_line_is_lost_or_read_twice(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadSamples, match=f"a.csv: {message}"):
        load_samples(tmp_path / "a.csv")


def test_a_table_that_is_not_utf_8_says_so(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n", encoding="utf-16")
    with pytest.raises(BadSamples, match="a.csv: cannot be read: .*; write it in UTF-8"):
        load_samples(tmp_path / "a.csv")


@pytest.mark.parametrize("table, error, message", [
    ('columns = ["az"]', BadConfig, "has no column 'az', which .table. names, only time, ax, ay, who"),
    ('columns = ["ax"]\nwindow = 40', BadSamples, "at most 3 rows belong together, fewer than a"),
    ('columns = ["ax"]\nwindow = 0', BadConfig, "table.window"),
])
def test_a_manifest_at_fault_is_named(tmp_path, table, error, message):
    with pytest.raises(error, match=message):
        load_samples(write(tmp_path, [HEADER, *readings("a", "b", "train", 3)], f"[table]\n{table}\n"))
