"""Debian's packages for another architecture: an apt of our own, at native speed, that no root is needed for.

apt checks the release's signature by Debian's keyring and every package's SHA-256 by the release. Nothing is
installed and no maintainer script runs. See apt.conf(5), apt-get(8).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import re
import shutil
import subprocess

from toolchain.errors import DeviceUnavailable

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR = "EDGE_DEBIAN_MIRROR"
"""Environment variable: a mirror of Debian's main archive, where this machine's own apt has none."""
SECONDS = 900
CONFIGURATION = """\
#clear APT::Update;
#clear APT::Architectures;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
Acquire::Retries "3";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
"""


@dataclass(frozen=True)
class Package:
    """A package as the archive has it now. file: its name when downloaded; sha256: of that."""

    name: str
    version: str
    file: str
    sha256: str


class Archive:
    """The packages of one suite ("bookworm") and architecture ("arm64"); apt's state lies in `folder`."""

    def __init__(self, folder: Path, suite: str, architecture: str):
        self._folder, self._suite, self._architecture = folder, suite, architecture
        for place in ("state/lists/partial", "cache/archives/partial"):
            (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / "status").write_text("")
        (folder / "apt.conf").write_text(CONFIGURATION.format(folder=folder, architecture=architecture))

    def update(self) -> None:
        """Fetch the list of packages from the first of this machine's mirrors that has the suite.

        Raises DeviceUnavailable.
        """
        if not KEYRING.is_file():
            raise DeviceUnavailable(f"{KEYRING}, by which Debian's packages are checked, is missing; "
                                    f"apt-get install debian-archive-keyring")
        said = "this machine's apt has no mirror"
        for mirror in mirrors():
            line = f"deb [signed-by={KEYRING} arch={self._architecture}] {mirror} {self._suite} main\n"
            (self._folder / "sources.list").write_text(line)
            done = self._run(["apt-get", "update", "--error-on=any"])
            if not done.returncode:
                return
            said = _last_words(done)
        raise DeviceUnavailable(f"Debian {self._suite} cannot be had: {said}. Is there a network? A mirror "
                                f"can be named: {MIRROR}=http://HOST/debian")

    def depends(self, name: str) -> list[str]:
        """Names of packages that a package depends on, in its own order. Raises DeviceUnavailable."""
        said = self._output(["apt-cache", "depends", "--no-recommends", "--no-suggests", name])
        return re.findall(r"^ *Depends: ([a-z0-9.+-]+)$", said, re.MULTILINE)

    def packages(self, names: Sequence[str]) -> list[Package]:
        """What there is of these names now, sorted. Raises DeviceUnavailable where one is missing."""
        said = self._output(["apt-get", "download", "--print-uris", *names])
        found = sorted((parse_uri(line) for line in said.splitlines()), key=lambda package: package.name)
        if missing := set(names) - {package.name for package in found}:
            raise DeviceUnavailable(f"Debian {self._suite} has no {', '.join(sorted(missing))}")
        return found

    def download(self, packages: Collection[Package]) -> list[Path]:
        """The packages' files, checked by apt; those that are there already are kept, others go.

        Raises DeviceUnavailable.
        """
        folder = self._folder / "files"
        folder.mkdir(exist_ok=True)
        for stale in set(os.listdir(folder)) - {package.file for package in packages}:
            (folder / stale).unlink()
        self._output(["apt-get", "download", *(f"{p.name}={p.version}" for p in packages)], folder)
        return [folder / package.file for package in packages]

    def _output(self, command: list[str], folder: Path | None = None) -> str:
        done = self._run(command, folder)
        if done.returncode:
            raise DeviceUnavailable(f"{command[0]} {command[1]}: {_last_words(done)}")
        return done.stdout

    def _run(self, command: list[str], folder: Path | None = None) -> subprocess.CompletedProcess:
        if not shutil.which(command[0]):
            raise DeviceUnavailable(f"{command[0]}, which fetches Debian's packages, is missing; the "
                                    f"emulated devices are made on Debian or Ubuntu")
        environment = {**os.environ, "APT_CONFIG": str(self._folder / "apt.conf"), "LC_ALL": "C"}
        try:
            return subprocess.run(command, cwd=folder or self._folder, env=environment, text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise DeviceUnavailable(f"{command[0]} {command[1]} did not end in {SECONDS} s") from None


def mirrors() -> list[str]:
    """The user's choice, else those that this machine's apt uses, archives of security updates left out."""
    if chosen := os.environ.get(MIRROR):
        return [chosen]
    if not shutil.which("apt-get"):
        return []
    said = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS).stdout
    return [uri for uri in dict.fromkeys(said.split()) if "security" not in uri]


def parse_uri(line: str) -> Package:
    """A line of `apt-get download --print-uris`: 'URI' FILE SIZE SHA256:HEX. Raises DeviceUnavailable."""
    found = re.fullmatch(r"'[^']*' ([a-z0-9.+-]+)_([^_/ ]+)_([a-z0-9]+\.deb) \d+ SHA256:([0-9a-f]{64})", line)
    if not found:
        raise DeviceUnavailable(f"apt-get download --print-uris said {line[:200]!r}, which is no package")
    name, version, rest, sha256 = found.groups()
    return Package(name, version.replace("%3a", ":"), f"{name}_{version}_{rest}", sha256)


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
    return (lines or [f"it ended with code {done.returncode}"])[-1][:300]
