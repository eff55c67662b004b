"""The command line as a stranger meets it: help, listings, and one line for everything that is wrong."""

import subprocess
import sys

import pytest

from harness.cli import main
from harness.exporters import tflite
from tests.support.graphs import Builder, small_network


def bench(capsys, *argv):
    """Exit code, standard output and standard error of a command."""
    try:
        code = main([str(a) for a in argv])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err


def test_installed_command_prints_its_help():
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert "bench --device qemu --model solar_cells" in done.stdout


@pytest.mark.parametrize("command", ["run", "predict", "profile", "devices", "models"])
def test_every_command_has_help(capsys, command):
    code, out, _ = bench(capsys, command, "--help")
    assert code == 0
    assert out.startswith(f"usage: bench {command}")


def completions(script: str, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    line = " ".join(f"'{word}'" for word in words)
    call = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _shtab_bench; printf '%s\\n' ${{COMPREPLY[@]}}"
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{call}"], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


def test_shell_completion(capsys):
    code, script, _ = bench(capsys, "--print-completion", "bash")
    assert code == 0
    assert {"run", "compare", "store"} <= set(completions(script, "bench", ""))
    assert completions(script, "bench", "store", "ex") == ["export"]
    assert "--dry-run" in completions(script, "bench", "run", "--d")
    assert "--dry-run" in completions(script, "bench", "--d")
    assert "release" in completions(script, "bench", "run", "--trial", "r")
    code, script, _ = bench(capsys, "--print-completion=zsh")
    assert script.startswith("#compdef bench")
    assert bench(capsys, "--print-completion", "dos")[0] == 2


def test_listings(capsys):
    code, out, _ = bench(capsys, "devices", "list")
    assert code == 0
    assert "qemu-a76" in out
    code, out, _ = bench(capsys, "models", "list")
    assert code == 0
    assert "mobilenet_v1_0.25_128" in out
    code, out, _ = bench(capsys, "models", "show", "solar_cells")
    assert code == 0
    assert "CC BY-NC-SA" in out


def test_a_recipe_is_shown_with_its_counts_and_what_was_published(capsys):
    code, out, _ = bench(capsys, "models", "show", "mobilenet_v1")
    assert code == 0
    shown = {" ".join(line.split()) for line in out.splitlines()}
    assert {
        "metric top-1",
        "parameters 4,222,057 (published: 4,240,000)",
        "multiply-accumulates 568,741,376 (published: 569,000,000)",
        "Pixel 2 ms 180, 145, 80.2 (original, PTQ, QAT)",
        "Pixel 2 MB 16.9, 4.3 (original, quantized)",
    } <= shown
    assert "published parameters" not in out


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.tflite"
    path.write_bytes(tflite.write(small_network()))
    return path


@pytest.fixture
def odd_model(tmp_path):
    b = Builder()
    path = tmp_path / "odd.tflite"
    graph = b.build(b.node("Pad", b.input((1, 2)), b.const([[0, 0], [1, 1]]), name="odd"))
    path.write_bytes(tflite.write(graph)[:-40])
    return path


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--device", "qemu", "--model", "solar_sells"], "did you mean solar_cells"),
        (
            ["--device", "qemv", "--model", "{model}", "--variants", "f32"],
            "unknown device 'qemv': did you mean qemu",
        ),
        (["--device", "local", "--model", "nowhere.pb"], "nowhere.pb"),
        (["--device", "local", "--model", "{model}", "--variants", "f23"], "unknown variant 'f23'"),
        (["--device", "local", "--model", "{model}", "--dataset", "{empty}"], "--preprocess"),
        (
            ["--device", "local", "--model", "{model}", "--dataset", "{empty}", "--preprocess", "crop=1"],
            "empty",
        ),
        (["--device", "local", "--model", "{model}"], "calibrated on samples, and there are none"),
        (["--device", "local", "--model", "{odd}", "--variants", "f32"], "odd.tflite"),
        (["--device", "local", "--model", "solar_cells,kws", "--weights", "w.pb"], "one model at a time"),
        (["--device", "local"], "the following arguments are required: --model"),
        (["--device", "local", "--model", "{model}", "--samples", "0"], "not a whole number above 0"),
        (
            ["predict", "--device", "local", "--model", "{model}", "--input", "x.npy", "--output", "y"],
            "x.npy",
        ),
        (["frobnicate"], "frobnicate"),
        (["models", "show", "solar"], "unknown model 'solar'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    capsys, tmp_path, monkeypatch, model, odd_model, argv, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    places = {"{model}": model, "{odd}": odd_model, "{empty}": tmp_path / "empty"}
    code, out, err = bench(capsys, *[places.get(a, a) for a in argv])
    lines = [line for line in err.splitlines() if line.startswith("bench")]
    assert code == 2
    assert out == ""
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "results").exists()


def test_hostile_names_cannot_reach_the_terminal(capsys):
    code, _, err = bench(capsys, "models", "show", "\x1b[31mred")
    assert code == 2
    assert "\x1b" not in err
