"""The file that outlives a kill: at every moment it can be read, and what it says is what was added."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path

import pytest

from gate_p2p.dns import journal as module
from gate_p2p.dns.journal import HEADER, Journal

ONE, TWO, THREE = ("TXT", "x.example", "1" * 64, "v"), ("TXT", "ü\n", "2", ""), ("A", "y.example", "3")


def read(path: Path) -> tuple[tuple[str, ...], ...]:
    journal = Journal(path)
    journal.close()
    return journal.entries


def test_entries_are_added_once_removed_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    for entry in (ONE, TWO, ONE, THREE):
        journal.add(entry)
    journal.remove(ONE)
    journal.remove(ONE)
    assert path.read_bytes().count(b"\n") == 5
    journal.close()
    assert read(path) == journal.entries == (TWO, THREE)
    assert path.read_bytes().count(b"\n") == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_ends_anywhere_is_read_up_to_its_last_whole_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda fd: None)  # hundreds of files
    whole = tmp_path / "whole"
    journal = Journal(whole)
    for entry in (ONE, TWO):
        journal.add(entry)
    journal.remove(ONE)
    journal.close()
    content = whole.read_bytes()
    path = tmp_path / "journal"
    seen = []
    for end in range(len(HEADER), len(content) + 1):
        path.write_bytes(content[:end])
        journal = Journal(path)
        seen.append(journal.entries)
        journal.add(THREE)  # goes on a line of its own
        journal.close()
        assert read(path)[-1] == THREE
    assert [entries for entries, _ in itertools.groupby(seen)] == [(), (ONE,), (ONE, TWO), (TWO,)]


def test_lines_that_cannot_be_read_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "journal"
    path.write_bytes(HEADER + b'["+", "a"]\n\n\0\0\0\n[]\n7\n["+", "b"]\n')
    assert read(path) == (("a",), ("b",))
    assert caplog.text.count("cannot be read") == 3


def test_it_does_not_grow_with_the_number_of_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLACK", 10)
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.add(ONE)
    for _ in range(100):
        journal.add(TWO)
        journal.remove(TWO)
    journal.close()
    assert path.read_bytes().count(b"\n") < 20
    assert read(path) == (ONE,)


def test_a_line_that_was_cut_short_is_ended_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    write = os.write
    monkeypatch.setattr("os.write", lambda fd, data: write(fd, data[:9]))
    with pytest.raises(OSError, match="No space left"):
        journal.add(ONE)
    monkeypatch.undo()
    assert journal.entries == ()
    journal.add(TWO)
    journal.close()
    assert read(path) == (TWO,)


def test_a_disk_without_room_for_a_new_file_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "SLACK", 2)
    path = tmp_path / "journal"
    journal = Journal(path)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for number in range(20):
        journal.add((str(number),))
    journal.close()
    monkeypatch.undo()
    assert "anew: No space left" in caplog.text
    assert list(tmp_path.iterdir()) == [path]
    assert len(read(path)) == 20


def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"precious")
    with pytest.raises(ValueError, match="is no DNS journal"):
        Journal(path)
    assert path.read_bytes() == b"precious"
    path.write_bytes(b"")  # made beforehand
    assert read(path) == ()


def test_one_process_at_a_time_has_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    for _ in range(2):
        with pytest.raises(OSError, match="another process"):
            Journal(path)
    journal.close()
    assert read(path) == ()


@pytest.mark.parametrize("change", ["written anew", "written anew and let go", "removed"])
def test_a_file_that_is_exchanged_while_it_is_opened_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = tmp_path / "journal"
    first = Journal(path)
    first.add(ONE)
    changes = [change]  # once, between the second one's open and its lock
    lock = module._lock

    def late(fd: int) -> None:
        if changes:
            if changes.pop() == "removed":
                path.unlink()
                first.close()
            else:
                first._write_anew()
                first.add(THREE)
                if change.endswith("let go"):
                    first.close()
        lock(fd)

    monkeypatch.setattr(module, "_lock", late)
    if change == "written anew":
        with pytest.raises(OSError, match="another process"):
            Journal(path)
        first.close()
    else:
        second = Journal(path)
        assert second.entries == (() if change == "removed" else (ONE, THREE))
        second.add(TWO)
        second.close()
    monkeypatch.undo()
    assert read(path)[-1] == (THREE if change == "written anew" else TWO)


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    journal = Journal(tmp_path / "link")
    journal.add(ONE)
    journal.close()
    assert (tmp_path / "link").is_symlink()
    assert read(tmp_path / "real") == (ONE,)
