"""What README and docs tell people to type works: each ```sh line and each ```python block runs, in order."""

from collections.abc import Iterator
from pathlib import Path
import re
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN_BY_CI = {"make", "make setup", "make test", "make test-slow", "make demo"}


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of each fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """Lines to type, without comments and without what CI runs itself."""
    lines = [line.split("  #")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#") and line not in RUN_BY_CI]


def steps(page: Path) -> Iterator[str | list[str]]:
    """What to run, in order: a line for the shell, or the arguments of a process."""
    for language, text in blocks(page):
        if language == "sh":
            yield from commands(text)
        elif language == "python":
            yield [sys.executable, "-c", text]


@pytest.mark.slow
@pytest.mark.emulated
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_to_type_works(page):
    (ROOT / "build").mkdir(exist_ok=True)
    for step in steps(page):
        done = subprocess.run(step, shell=isinstance(step, str), cwd=ROOT, capture_output=True, text=True,
                              timeout=900)
        assert done.returncode == 0, f"{page.name}: {step}\n{done.stdout[-500:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_make_targets_that_pages_name_exist():
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    folders = {path.name for path in (ROOT / "targets").iterdir()}
    known = rules | folders | {f"bench-{folder}" for folder in folders}
    for page in PAGES:
        unknown = set(re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))) - known
        assert not unknown, f"{page.name} names make targets that do not exist: {sorted(unknown)}"
