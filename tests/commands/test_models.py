"""`bench models`: what is listed, and fetching into the cache."""

import pytest

import models
from harness.cli import main
from tests.support.web import running_site

RECIPE = """
from models import Download, Preprocess, Recipe
RECIPE = Recipe(
    "{name}", "a network", Preprocess(),
    fetched=Download("{url}/float.tflite"), qat=Download("{url}/qat.tflite"),
)
"""


@pytest.fixture
def site(monkeypatch, fresh_cache, tmp_path):
    """A site with the weights of a recipe `made-up`, the only one there is beside `solar_cells`."""
    monkeypatch.setenv("NO_PROXY", "*")
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "solar_cells.py").symlink_to(models.FOLDER / "solar_cells.py")
    monkeypatch.setattr(models, "FOLDER", folder)
    monkeypatch.delitem(models.sys.modules, "models.made-up", raising=False)
    with running_site() as running:
        (folder / "made-up.py").write_text(RECIPE.format(name="made-up", url=running.url))
        running.put("float.tflite", b"float weights")
        running.put("qat.tflite", b"qat weights")
        yield running
    models.sys.modules.pop("models.made-up", None)


@pytest.fixture
def bench(capsys):
    """Runs a command: its exit code, standard output's lines, standard error."""

    def run(*argv):
        code = main([str(a) for a in argv])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err

    return run


def states(bench):
    """The columns `weights` and `QAT` of the list, by model."""
    _, lines, _ = bench("models", "list")
    at = [lines[0].index(header) for header in ("weights", "QAT", "data set")]
    rows = lines[2 : lines.index("")]
    return {row.split()[0]: (row[at[0] : at[1]].strip(), row[at[1] : at[2]].strip()) for row in rows}


def test_float_and_qat_weights_are_fetched_and_listed(site, bench):
    assert states(bench) == {"made-up": ("published", "published"), "solar_cells": ("included", "")}
    code, lines, err = bench("models", "fetch", "made-up")
    assert code == 0
    assert [line.split()[:3] for line in lines[2:]] == [
        ["made-up", "float", "0.0"],
        ["made-up", "QAT", "0.0"],
    ]
    for line, content in zip(lines[2:], (b"float weights", b"qat weights"), strict=True):
        with open(line.split()[3], "rb") as file:
            assert file.read() == content
    assert "fetching float.tflite, MB" in err
    assert states(bench)["made-up"] == ("fetched", "fetched")


def test_what_a_recipe_says_of_its_weights(site, bench):
    _, lines, _ = bench("models", "show", "made-up")
    assert f"weights        {site.url}/float.tflite" in lines
    bench("models", "fetch", "made-up", "--qat")
    _, lines, _ = bench("models", "show", "made-up")
    assert any(line.startswith("QAT weights    /") and line.endswith("/qat.tflite") for line in lines)


def test_qat_weights_alone(site, bench):
    assert bench("models", "fetch", "made-up", "--qat", "--quiet")[0::2] == (0, "")
    assert states(bench)["made-up"] == ("published", "fetched")


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        (["qat.tflite"], [], ("published", "fetched")),
        (["float.tflite", "qat.tflite"], [], ("fetched", "fetched")),
        (["mine.tflite"], [], ("fetched", "published")),
        (["mine.tflite"], ["--qat"], ("published", "fetched")),
    ],
)
def test_what_the_user_has(site, bench, tmp_path, given, options, expected):
    for name in given:
        (tmp_path / name).write_bytes(b"weights")
    place = tmp_path / given[0] if len(given) == 1 else tmp_path
    assert bench("models", "fetch", "made-up", "--from", place, *options)[0] == 0
    assert states(bench)["made-up"] == expected
    assert site.asked == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["solar_cells"], "model 'solar_cells': no weights are published to fetch (its weights come with"),
        (
            ["made-up", "--from", "gone"],
            "gone is no file or folder with the weights of model 'made-up': float",
        ),
        (["made-up", "--from", "."], ". has none of the files of model 'made-up': float.tflite, qat.tflite"),
        (["made-up,mad-up"], "unknown model 'mad-up': did you mean made-up?"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(site, bench, tmp_path, monkeypatch, argv, message):
    monkeypatch.chdir(tmp_path)
    code, lines, err = bench("models", "fetch", *argv)
    assert (code, lines) == (2, [])
    assert err.startswith(f"bench: {message}")
    assert err.count("\n") == 1


def test_the_message_of_a_failed_fetch_names_the_recipe(site, bench):
    del site.pages["/float.tflite"]
    code, _, err = bench("models", "fetch", "made-up", "--quiet")
    assert code == 2
    assert err.endswith(
        "/float.tflite: the server says 404 Not Found; "
        "get it elsewhere, then: bench models fetch made-up --from float.tflite\n"
    )
