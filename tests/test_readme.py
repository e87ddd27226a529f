"""What README and docs tell people to type works: every ```sh line runs, every ```python block runs, in order."""

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


@pytest.mark.slow
@pytest.mark.emulated
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_to_type_works(page):
    (ROOT / "build").mkdir(exist_ok=True)
    for language, text in blocks(page):
        steps = commands(text) if language == "sh" else [[sys.executable, "-c", text]] if language == "python" else []
        for step in steps:
            done = subprocess.run(step, shell=isinstance(step, str), cwd=ROOT, capture_output=True, text=True, timeout=900)
            assert done.returncode == 0, f"{page.name}: {step}\n{done.stdout[-500:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_make_targets_that_pages_name_exist():
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8")))
        folders = {path.name for path in (ROOT / "targets").iterdir()}
        unknown = {name for name in named if name not in known | folders and name.removeprefix("bench-") not in folders}
        assert not unknown, f"{page.name} names make targets that do not exist: {sorted(unknown)}"
