"""Names of classes, from a file of their own."""

from pathlib import Path

from toolchain.errors import BadConfig


def read_labels(path: Path) -> tuple[str, ...]:
    """The lines of a labels file, without those that end it empty. Raises BadConfig."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: no readable labels file: {error}; give UTF-8 text, a name on each line") \
            from None
    labels = tuple(line.strip() for line in text.rstrip().splitlines())
    if not labels:
        raise BadConfig(f"{path}: holds no names; give a name on each line")
    if not all(labels):
        raise BadConfig(f"{path}: line {labels.index('') + 1} is empty; give each class a name")
    return labels
