"""Damaged and hostile files: one clear error or a right result. `make soak` has twenty times as many."""

import pytest
import soak

COUNT = 500


@pytest.mark.slow
@pytest.mark.parametrize("suffix", soak.SUFFIXES)
def test_damaged_files_are_refused_or_right(suffix):
    found = soak.soak(suffix, COUNT)
    assert found.outcomes.total() == COUNT
    assert found.failures == []
    assert len(found.outcomes) > 1  # most are refused, some still load


def test_a_mutation_is_the_same_on_every_run():
    assert soak.mutation("tflite", 7) == soak.mutation("tflite", 7) != soak.mutation("tflite", 8)


def test_a_child_that_dies_is_a_failure_and_the_next_file_is_loaded(monkeypatch):
    """The driver's own judge: a line missing, a process gone."""
    script = "import sys; print('ready'); print(sys.argv[-2], 'loaded'); sys.exit(3)"
    real = soak.subprocess.Popen

    def dying(arguments, **options):
        return real([arguments[0], "-c", script, *arguments[-2:]], **options)

    monkeypatch.setattr(soak.subprocess, "Popen", dying)
    found = soak.soak("tflite", 3)
    assert found.outcomes["loaded"] == 2
    assert [number for number, _ in found.failures] == [1]
    assert "code 3" in found.failures[0][1]
