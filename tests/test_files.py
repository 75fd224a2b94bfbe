"""Writing beside and moving: whatever happens, one whole version is there, and nothing else."""

import os
import shutil

import pytest

from minimind_lite.files import read_json, replacing, settle


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_file(path, text):
    with replacing(path) as unfinished:
        unfinished.write_text(text)


def write_directory(path, text):
    with replacing(path) as unfinished:
        unfinished.mkdir()
        (unfinished / "a").write_text(text)


def content(path):
    return (path / "a" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("write", [write_file, write_directory])
def test_the_new_takes_the_place_of_the_old(tmp_path, write):
    write(tmp_path / "deep" / "x", "one")
    write(tmp_path / "deep" / "x", "two")
    assert content(tmp_path / "deep" / "x") == "two" and names(tmp_path / "deep") == ["x"]


@pytest.mark.parametrize("write", [write_file, write_directory])
@pytest.mark.parametrize("stop", [RuntimeError("a bad line"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_whatever_ends_the_block_the_old_stays_and_nothing_else(tmp_path, write, stop):
    write(tmp_path / "x", "old")
    with pytest.raises(type(stop)) as caught:
        with replacing(tmp_path / "x") as unfinished:
            unfinished.write_text("half")
            raise stop
    assert content(tmp_path / "x") == "old" and names(tmp_path) == ["x"]
    if isinstance(stop, OSError):
        assert str(caught.value) == (
            f"could not write {tmp_path / 'x'} (No space left on device); what was there before is "
            "untouched. Make room or choose another place, and run again."
        )


def test_an_input_that_is_missing_is_not_called_a_failed_write(tmp_path):
    with pytest.raises(FileNotFoundError, match="input.jsonl"):
        with replacing(tmp_path / "x"):
            open(tmp_path / "input.jsonl")


def test_one_inside_another_gives_one_sentence(tmp_path):
    with pytest.raises(OSError) as caught, replacing(tmp_path / "x") as outer, replacing(outer / "y"):
        raise OSError(28, "No space left on device")
    assert str(caught.value).count("could not write") == 1 and f"{tmp_path / 'x'} (No space" in str(caught.value)


@pytest.mark.parametrize("killed_at", [1, 2])
def test_a_kill_between_the_two_moves_of_a_directory_loses_nothing(tmp_path, monkeypatch, killed_at):
    """The moves of a directory stop after the first; a kill runs no clean-up, so neither does this."""
    write_directory(tmp_path / "x", "old")
    moves, real, remove = [], os.replace, shutil.rmtree

    class Killed(BaseException):
        pass

    def replace(source, target):
        moves.append(source)
        if len(moves) > killed_at:
            raise Killed
        real(source, target)

    monkeypatch.setattr("minimind_lite.files.os.replace", replace)
    monkeypatch.setattr("minimind_lite.files.remove", lambda path: None if moves else path.exists() and remove(path))
    with pytest.raises(Killed):
        write_directory(tmp_path / "x", "new")
        raise Killed
    monkeypatch.undo()
    assert names(tmp_path) == (["x.old", "x.unfinished"] if killed_at == 1 else ["x", "x.old"])
    assert content(settle(tmp_path / "x")) == ("old" if killed_at == 1 else "new")
    write_directory(tmp_path / "x", "next")
    assert content(tmp_path / "x") == "next" and names(tmp_path) == ["x"]


@pytest.mark.parametrize("text, problem", [("{", "damaged"), ("[1]", "one JSON object"), (None, "is missing: look again.")])
def test_a_bad_json_file_is_named(tmp_path, text, problem):
    if text is not None:
        (tmp_path / "x.json").write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=f"x.json.*{problem}"):
        read_json(tmp_path / "x.json", "look again.")
