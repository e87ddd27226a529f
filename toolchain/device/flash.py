"""Where an image's flash goes: kernels, the model's code, parameters, weights, the firmware around them."""

from collections.abc import Iterator
import io
import re

KERNELS, MODEL, PARAMS, WEIGHTS = "kernels", "model code", "parameters", "weights"
LIBRARY, FIRMWARE, GAPS = "C library", "firmware", "vectors, texts, gaps"
PARTS = (KERNELS, MODEL, PARAMS, WEIGHTS, LIBRARY, FIRMWARE, GAPS)


def flash_parts(elf: bytes, symbol: str, flash_bytes: int) -> dict[str, int]:
    """Part -> bytes, those of PARTS that are there; together flash_bytes.

    symbol: what the model's public names begin with
    """
    found = dict.fromkeys(PARTS, 0)
    for file, name, size, is_code in _symbols(elf):
        found[_part(file, name, is_code, symbol)] += size
    found[GAPS] = flash_bytes - sum(found.values())
    return {part: size for part, size in found.items() if size}


def _symbols(elf: bytes) -> Iterator[tuple[str, str, int, bool]]:
    """(file, name, bytes, whether it is code) of what lies in flash; file "" of what others may call."""
    from elftools.elf.elffile import ELFFile

    image, file, seen = ELFFile(io.BytesIO(elf)), "", set()
    stored = [number for number, section in enumerate(image.iter_sections())
              if section.name in (".text", ".data")]
    for symbol in image.get_section_by_name(".symtab").iter_symbols():
        kind, binding = symbol["st_info"]["type"], symbol["st_info"]["bind"]
        if kind == "STT_FILE":
            file = symbol.name
        elif kind in ("STT_FUNC", "STT_OBJECT") and symbol["st_shndx"] in stored \
                and symbol["st_value"] not in seen:
            seen.add(symbol["st_value"])
            yield (file if binding == "STB_LOCAL" else "", symbol.name, symbol["st_size"],
                   kind == "STT_FUNC")


def _part(file: str, name: str, is_code: bool, symbol: str) -> str:
    ours = re.fullmatch(r"(model|stage_\d+)\.c", file) is not None
    if name.startswith("tk_") or file.startswith("tk_"):
        return KERNELS
    if ours or name.startswith(f"{symbol}_"):
        if is_code:
            return MODEL
        shared = name.startswith(f"{symbol}_shared_")
        return WEIGHTS if shared or ours and not _is_parameter(name) else PARAMS
    return LIBRARY if re.fullmatch(r"mem(cpy|set|move)|__\w+", name) else FIRMWARE


def _is_parameter(name: str) -> bool:
    return re.search(r"_params(_\d+)?$|^(in|out)put_(bytes|offset)$", name) is not None
