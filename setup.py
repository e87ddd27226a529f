"""What pyproject.toml cannot say: C that is compiled where a compiler is, and done without elsewhere."""

from setuptools import Extension, setup

# ctypes loads it: no Python.h. No -march: what is built here runs on any processor of its kind.
COUNTING = Extension("toolchain.quantize.counting_c", ["toolchain/quantize/counting.c"],
                     extra_compile_args=["-O3"], optional=True)

setup(ext_modules=[COUNTING])
