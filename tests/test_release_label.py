"""The label of a run: from git, or given by the user."""

import subprocess
from pathlib import Path

import pytest

from harness import release_label
from harness.errors import UsageError
from harness.release_label import checked, of_folder


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("one")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_a_tag_else_the_commit(repository):
    commit = git(repository, "rev-parse", "--short", "HEAD")
    assert of_folder(repository) == commit
    git(repository, "tag", "v1.2")
    assert of_folder(repository) == "v1.2"
    (repository / "a").write_text("two")
    assert of_folder(repository) == "v1.2-dirty"
    git(repository, "commit", "-q", "-a", "-m", "second")
    assert of_folder(repository) == git(repository, "rev-parse", "--short", "HEAD") != commit


def test_files_that_git_does_not_track_change_nothing(repository):
    before = of_folder(repository)
    (repository / "results.db").write_text("new")
    assert of_folder(repository) == before


def test_none_without_a_commit_a_repository_or_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert of_folder(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert of_folder(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert of_folder(tmp_path) is None


def test_a_git_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(release_label, "GIT_TIMEOUT_S", 0.1)
    assert of_folder(tmp_path) is None


@pytest.mark.parametrize("name", ["", " ", " v1", "v1\n", "a\x1b[31m", "v" * 101])
def test_a_name_that_a_table_could_not_show(name):
    with pytest.raises(UsageError, match="must be one line"):
        checked(name)
    assert checked("release 1.2, größer") == "release 1.2, größer"
