"""Stages in one arena: nothing that is still needed is overwritten, and no more than that is kept."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from toolchain.lower.c.arena.stages import ALIGNMENT, StageArena, place_stages

sizes = st.integers(1, 400)


@st.composite
def chains(draw):
    """Stages that read some of what is there, at places of their own in their arenas."""
    known, stages, count = {"x": draw(sizes)}, [], draw(st.integers(1, 4))
    for number in range(count):
        read = draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=3, unique=True))
        at, inputs = 0, {}
        for name in read:
            at += 8 * draw(st.integers(0, 8))
            inputs[name] = (at, known[name])
            at += known[name]
        made = {f"v{number}.{i}": draw(sizes) for i in range(draw(st.integers(0, 2)))}
        stages.append(StageArena(at + draw(sizes), inputs, made if number < count - 1 else {}))
        known |= made
    return stages


@given(chains())
def test_what_is_needed_at_the_same_time_lies_apart(stages):
    placed = place_stages(stages)
    last = {name: number for number, stage in enumerate(stages) for name in stage.inputs}
    size = {name: size for stage in stages for name, (_, size) in stage.inputs.items()}
    first = {name: number for number, stage in enumerate(stages) for name in stage.made}
    for number, stage in enumerate(stages):
        there = [(placed.starts[number], stage.bytes)]
        there += [(placed.values[name], size[name]) for name in size
                  if first.get(name, 0) <= number and number < last[name]]
        for (a, length), (b, other) in combinations(there, 2):
            assert a + length <= b or b + other <= a
        for name, (offset, _) in stage.inputs.items():
            if last[name] == number:
                assert placed.values[name] == placed.starts[number] + offset
    assert all(start % ALIGNMENT == 0 for start in placed.starts)
    ends = [start + stage.bytes for start, stage in zip(placed.starts, stages)]
    assert placed.bytes == max([*ends, *(placed.values[name] + size[name] for name in size)])


def test_the_second_of_a_cascade_reads_its_input_where_it_lies():
    small, large = StageArena(100, {"x": (0, 48)}, {}), StageArena(400, {"x": (320, 48)}, {})
    placed = place_stages([small, large])
    assert (placed.starts, placed.values, placed.bytes) == ((0, 0), {"x": 320}, 400)


def test_there_is_no_room_beside_the_input():
    small, large = StageArena(100, {"x": (0, 48)}, {}), StageArena(128, {"x": (0, 48)}, {})
    placed = place_stages([small, large])
    assert (placed.starts, placed.values, placed.bytes) == ((48, 0), {"x": 0}, 148)
