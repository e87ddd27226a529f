"""Libraries of generated C: a plain folder, CMake, Arduino, Zephyr."""

from toolchain.artifact import Artifact
from toolchain.package.sources import Package, c_files, filled_in, library_files, page


def folder(artifact: Artifact) -> Package:
    """The C files as they are."""
    name, _ = library_files(artifact)
    return Package(name, {**c_files(artifact),
                          "README.md": filled_in("README_folder.md", page(artifact, name))})


def cmake(artifact: Artifact) -> Package:
    """A library for add_subdirectory, or to build by itself; toolchain.cmake names the target's compiler."""
    name, files = library_files(artifact)
    shown = _shown(artifact, name, files)
    return Package(name, {**_in("src", files), "CMakeLists.txt": filled_in("CMakeLists.txt", shown),
                          "toolchain.cmake": filled_in("toolchain.cmake", shown),
                          "README.md": filled_in("README_cmake.md", shown)})


def arduino(artifact: Artifact) -> Package:
    """A library by Arduino's library specification, revision 2.2: sources flat in src/, so that they see each
    other; its name neither begins with "arduino" nor has more than 63 characters."""
    name, files = library_files(artifact)
    title = f"model_{name}" if name.lower().startswith("arduino") else name
    shown = _shown(artifact, name, files) | {"library": title}
    return Package(title, {**_in("src", files), "library.properties": filled_in("library.properties", shown),
                           "keywords.txt": filled_in("keywords.txt", shown),
                           "examples/Inference/Inference.ino": filled_in("Inference.ino", shown)})


def zephyr(artifact: Artifact) -> Package:
    """An external module of Zephyr: named in ZEPHYR_EXTRA_MODULES, switched on by Kconfig."""
    name, files = library_files(artifact)
    shown = _shown(artifact, name, files)
    return Package(name, {**_in("src", files), "zephyr/module.yml": filled_in("module.yml", shown),
                          "zephyr/Kconfig": filled_in("Kconfig", shown),
                          "zephyr/CMakeLists.txt": filled_in("zephyr_CMakeLists.txt", shown),
                          "README.md": filled_in("README_zephyr.md", shown)})


def _in(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}


def _shown(artifact: Artifact, name: str, files: dict[str, bytes]) -> dict[str, object]:
    units = sorted(file for file in files if file.endswith(".c") and not file.endswith("_selftest.c"))
    return page(artifact, name) | {"units": units}
