"""Text files from Jinja templates."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jinja2


def render(folder: Path, template: str, page: Mapping[str, object]) -> bytes:
    """The text of a folder's template for a page, in ASCII. Raises UndefinedError for what it lacks."""
    return _environment(folder).get_template(template).render(page).encode("ascii")


@cache
def _environment(folder: Path) -> jinja2.Environment:
    return jinja2.Environment(loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
