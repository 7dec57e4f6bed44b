"""`python -m ntp_usg.net.xdp.compile`: makes answer.o of answer.c, with `zig` (from PyPI: ziglang) or `clang`.

Only who changes the program needs it: the result is the same on every machine and lies beside its source.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ntp_usg.core.base.errors import NtpUsgError

SOURCE = Path(__file__).with_name("answer.c")
OBJECT = SOURCE.with_suffix(".o")

OPTIONS = ("-mcpu=v3", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-stack-protector")


def source_digest() -> str:
    """What the object says of its source: that it was made of another one is a mistake that a test finds."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def find_compiler() -> Sequence[str] | None:
    """The command of a compiler for BPF; None where this machine has none."""
    if importlib.util.find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding")
    clang = shutil.which("clang")
    return (clang, "-target", "bpfel") if clang else None


def compile_program(target: Path = OBJECT) -> None:
    """Compile. Raises NtpUsgError with the compiler's words, or with what to do where there is no compiler."""
    compiler = find_compiler()
    if compiler is None:
        raise NtpUsgError("no compiler for BPF: `pip install ziglang`, or `apt install clang`")
    digest = f'-DSOURCE_DIGEST="{source_digest()}"'
    # From its own folder: then no path gets into the object.
    command = [*compiler, *OPTIONS, digest, "-c", SOURCE.name, "-o", str(target.resolve())]
    done = subprocess.run(command, cwd=SOURCE.parent, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise NtpUsgError(f"answer.c does not compile:\n{done.stderr}")


if __name__ == "__main__":
    compile_program()
