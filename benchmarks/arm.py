"""Instructions per inference on AArch64 beside LiteRT: `python -m benchmarks.arm` → results/peers-arm.json.

Both run under the same qemu-aarch64 and are counted by the same plugin (devices/count_instructions.c), as a
Cortex-A72, which has NEON, and a Cortex-A76, which has dot products too. Counts do not depend on the load of
the machine: ours are the same on every run, LiteRT's to within some hundred instructions.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks import arm_root, page
from benchmarks.networks import NETWORKS, Network
from devices import open_device
from harness import build, cache
from harness.deploy import deploy_built
from harness.errors import BenchError, TrialError
from harness.pack import write
from harness.results import Variant
from harness.sources import open_source
from harness.trial import instructions_per_inference

OUT = Path("results/peers-arm.json")
DEVICES = ("qemu", "qemu-a76")
FORMS = {"int8": "int8.tflite", "hybrid": "dyn.tflite", "f32": "f32.tflite"}
WORKER = Path(__file__).with_name("arm_litert.py")
TIMEOUT_S = 3600


def ours(device_name: str, model: Path) -> int:
    """Guest instructions of one of our inferences."""
    with closing(open_device(device_name)) as device, tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "model.qbm"
        write(open_source(str(model)).graph, packed)
        there = deploy_built(device, [packed])
        variant = Variant(model.stem, "", there.files[packed], "", packed.stat().st_size)
        counted = instructions_per_inference(device, there.runner, variant)
    if counted is None:
        raise BenchError(f"device '{device_name}' cannot count instructions: install QEMU 7 or newer")
    return counted


def litert(device_name: str, model: Path) -> int:
    """Guest instructions of one LiteRT inference (XNNPACK, one thread); counted once, then cached."""
    with closing(open_device(device_name)) as device:
        what = [arm_root.LITERT, device.version, device.cpu, hashlib.sha256(model.read_bytes()).hexdigest()]
    path = cache.folder("arm-counts") / hashlib.sha256(repr(what).encode()).hexdigest()[:16]
    cache.file(path, lambda output: output.write_text(f"{_count_litert(device_name, model)}"))
    return int(path.read_text())


def _count_litert(device_name: str, model: Path) -> int:
    root = arm_root.folder()
    with closing(open_device(device_name)) as device, tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts"
        command = [*device.counting(counts), "-L", str(root), "-E", "PYTHONHASHSEED=0"]
        command += ["-E", f"PYTHONPATH={arm_root.site_packages(root)}", str(arm_root.python(root))]
        command += [str(WORKER), str(model)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S)
        written = counts.read_text() if counts.is_file() else ""
    if done.returncode != 0 or len(written.splitlines()) != 4:
        raise TrialError(f"LiteRT under {device_name} failed: {done.stderr.strip()[-300:]}")
    first, second, third, _ = map(int, written.splitlines())
    return third - second - (second - first)


def row(network: Network, form: str, device: str, report) -> dict:
    model = network.file(FORMS[form])
    report(f"{network.name} {form} {device}")
    return {
        "network": network.name,
        "form": form,
        "device": device,
        "ours": ours(device, model),
        "litert": litert(device, model),
    }


def measure(networks: list[Network], forms: list[str], report) -> dict:
    """The content of results/peers-arm.json: instructions of one inference each."""
    rows = [row(n, form, device, report) for n in networks for form in forms for device in DEVICES]
    with closing(open_device(DEVICES[0])) as device:
        emulator = device.info().facts["emulator"]
    environment = {
        "emulator": emulator,
        "litert": arm_root.LITERT,
        "runner_sha256": build.runner_sha256("aarch64"),
        "compiler": build.compiler.VERSION,
    }
    return {"schema": 1, "environment": environment, "rows": rows}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arm", description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default=",".join(NETWORKS), help="(default: %(default)s)")
    parser.add_argument("--forms", default=",".join(FORMS), help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    networks = [NETWORKS[name] for name in arguments.networks.split(",")]
    try:
        found = measure(networks, arguments.forms.split(","), lambda text: print(text, file=sys.stderr))
    except BenchError as error:
        print(f"benchmarks.arm: {error}", file=sys.stderr)
        return error.exit_code
    page.save(arguments.out, found)
    print(page.arm_table(found))
    if arguments.out == OUT:
        page.update()
    return 0


if __name__ == "__main__":
    sys.exit(main())
