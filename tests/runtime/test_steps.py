"""Steps of whole sequences: states begin as they are said to, and are handed back in the input's codes."""

import numpy as np

from toolchain.ir.streaming import State, Streaming
from toolchain.port import Port
from toolchain.runtime.steps import initial, run_steps

FORM = Streaming(3, {"x": 2}, (State("h", "next", (0.5,)),))
GIVEN = Port("x", (1, 2, 3), "float32")


def test_a_state_is_what_came_out_before():
    """next = h + the step's sum; the file takes h as int8 and gives it as uint8."""
    takes = (Port("x", (1, 2, 1), "float32"), Port("h", (1, 1), "int8", 0.25, 0))
    gives = (Port("next", (1, 1), "uint8", 0.25, 128),)

    def run(feeds):
        codes = feeds["h"].astype(int) + np.round(4 * feeds["x"].sum(axis=1)).astype(int)
        return {"next": (codes + 128).astype(np.uint8)}

    x = np.arange(12, dtype=np.float32).reshape(2, 2, 3) / 4
    done = list(run_steps(run, FORM, takes, gives, {"x": GIVEN}, {"x": x}))
    assert [fed["x"].shape for fed, _ in done] == [(2, 2, 1)] * 3
    steps = x.sum(axis=1)
    for number, (fed, answers) in enumerate(done):
        before = 0.5 + steps[:, :number].sum(axis=1, keepdims=True)
        assert fed["h"].dtype == np.int8 and np.array_equal(fed["h"] * 0.25, before)
        assert np.array_equal((answers["next"] - 128.0) * 0.25, before + steps[:, number:number + 1])


def test_states_begin_with_one_value_or_all_of_them():
    port = Port("h", (1, 2, 2), "int8", 0.5, 3)
    assert np.array_equal(initial(State("h", "next", (1.0,)), port, 2), np.full((2, 2, 2), 5))
    each = initial(State("h", "next", (0.0, 0.5, 1.0, -1.0)), port, 2)
    assert np.array_equal(each, np.broadcast_to([[3, 4], [5, 1]], (2, 2, 2)))
