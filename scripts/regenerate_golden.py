"""Write tests/golden/ anew, after a wanted change of what the doors out write.

Look at the diff before you commit it.
"""

from pathlib import Path
import sys
import tempfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.golden.net import files  # noqa: E402


def write_module(path: Path) -> None:
    """A small network as torch.export saves it."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, groups=1), nn.BatchNorm2d(4), nn.GELU(), nn.Flatten(),
                        nn.Linear(64, 3)).eval()
    torch.export.save(torch.export.export(net, (torch.randn(1, 3, 4, 4),)), path)


write_module(ROOT / "tests" / "golden" / "module.pt2")
with tempfile.TemporaryDirectory() as folder:
    for name, data in files(Path(folder)).items():
        (ROOT / "tests" / "golden" / name).write_bytes(data)
        print(f"tests/golden/{name}: {len(data):,} bytes")
