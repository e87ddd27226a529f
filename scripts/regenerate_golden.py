"""Write tests/golden/ anew, after a wanted change of what the doors out write.

Look at the diff before you commit it.
"""

from pathlib import Path
import sys
import tempfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.golden.net import files  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    for name, data in files(Path(folder)).items():
        (ROOT / "tests" / "golden" / name).write_bytes(data)
        print(f"tests/golden/{name}: {len(data):,} bytes")
