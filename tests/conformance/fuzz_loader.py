"""libFuzzer on the runner's model loader, every op's prepare and what they let run, under ASan and UBSan.

    python -m tests.conformance.fuzz_loader [--seconds 600]

The seeds are one model file per op and arithmetic of the conformance suite. Needs Debian's clang, whose
runtime has libFuzzer. Exit code 1 where something was found; the input that does it is kept beside the
program.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import build as compiled
from harness import cache, pack
from tests.conformance import cases  # noqa: F401 (registers the cases)
from tests.conformance.check import build
from tests.conformance.draw import CASES

CLANGS = ("clang", "clang-14", "clang-16", "clang-19")
SANITIZERS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"]
LIMITS = ["-max_len=65536", "-timeout=10", "-rss_limit_mb=1024", "-malloc_limit_mb=1024"]
JOBS = 2


def fuzzer(folder: Path) -> Path:
    """The program, compiled from the runtime's sources for this machine."""
    clang = next(filter(None, map(shutil.which, CLANGS)), None)
    if clang is None:
        sys.exit("needs clang with libFuzzer: apt-get install clang")
    sources = {
        k: v for k, v in compiled.sources_of(compiled.host_arch()).items() if not k.startswith("runner/")
    }
    sources["tests/fuzz_model.c"] = ()

    def compile_one(source: tuple[str, tuple[str, ...]]) -> str:
        name, flags = source
        output = str(folder / (name.replace("/", "-") + ".o"))
        words = [clang, "-O1", "-g", "-std=c11", "-DQB_LIBFUZZER", *SANITIZERS, "-Isrc", "-Iinclude", *flags]
        subprocess.run([*words, "-c", name, "-o", output], cwd=compiled.FOLDER, check=True)
        return output

    with ThreadPoolExecutor(JOBS) as pool:
        objects = list(pool.map(compile_one, sources.items()))
    program = folder / "fuzz"
    subprocess.run([clang, *SANITIZERS, *objects, "-lm", "-o", str(program)], check=True)
    return program


def write_seeds(folder: Path) -> int:
    """One packed model per case; returns how many."""
    tflite = folder.parent / "seed.tflite"
    for key in sorted(CASES):
        case = CASES[key]
        tflite.write_bytes(build(case, [0, 1])[1])
        (folder / f"{case.name}.qbm").write_bytes(pack.pack(case.graph(tflite)))
    return len(CASES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=600, help="(default: %(default)s)")
    seconds = parser.parse_args().seconds
    folder = cache.folder("fuzz_loader")
    corpus = cache.folder("fuzz_loader", "corpus")
    print(f"{write_seeds(corpus)} seeds in {corpus}")
    words = [str(fuzzer(folder)), f"-max_total_time={seconds}", *LIMITS, "-print_final_stats=1", str(corpus)]
    return 1 if subprocess.run(words, cwd=folder).returncode else 0


if __name__ == "__main__":
    sys.exit(main())
