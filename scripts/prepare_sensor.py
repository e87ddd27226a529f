"""Make a sample set of CSV files of sensor readings: windows of rows, split, with a manifest.

prepare_sensor.py FOLDER --name my_sensor --licence CC0-1.0 --source "..." --window 100 --step 50 \\
    --label exercise --group-column person --ignore time --units g g g
"""

from new_set import make_set, parser, run

from toolchain.data.manifest import FilesManifest, Table


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--window", type=int, required=True, help="rows of a sample")
    options.add_argument("--step", type=int, help="rows from one window to the next; as many as a window has")
    options.add_argument("--columns", nargs="+", default=(), help="channels; all columns not named elsewhere")
    options.add_argument("--label", default="", help="column of the classes")
    options.add_argument("--group-column", default="", help="column of what must stay in one split")
    options.add_argument("--split-column", default="", help="column of train, calibration, selection, test")
    options.add_argument("--ignore", nargs="+", default=(), help="columns that are left out, such as time")
    options.add_argument("--units", nargs="+", required=True, help="of each channel, or one for all")
    given = options.parse_args()
    table = Table(columns=tuple(given.columns), label=given.label, group=given.group_column,
                  split=given.split_column, ignore=tuple(given.ignore), window=given.window, step=given.step)
    make_set(given, FilesManifest(kind="table", table=table),
             f"windows of {given.window} rows, one every {given.step or given.window}", given.units)


if __name__ == "__main__":
    run(main)
