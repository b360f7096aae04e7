"""The fuzzer finds what is planted, keeps the smallest input of it, and finds nothing else in the readers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing import Reader, fuzz, reduced, try_once

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.seals import sealed, unsealed

SCRIPT = Path(__file__).with_name("fuzz_readers.py")
DOCUMENT = {"name": "a", "sizes": [1, 2, 3], "about": {"deep": {"er": 5}}}


def read_planted(data):
    """Refuses what is no JSON object in words, and breaks where a size is a text."""
    try:
        document = json.loads(data)
        sizes = document["sizes"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NanosegError(f"no document ({error!r})") from error
    return sum(size + 1 for size in sizes if size is not None) >= 0 if isinstance(sizes, list) else False


def test_a_planted_fault_is_found_and_made_small(tmp_path):
    reader = Reader([json.dumps(DOCUMENT).encode()], read_planted)
    found = fuzz(reader, 300, 0, tmp_path, most=300)
    assert found.inputs == 300 and 0 < found.read < found.inputs
    (name,) = (each for each in found.crashes if each.startswith("TypeError-test_fuzz_readers-"))
    assert "Traceback" in found.crashes[name]
    small = json.loads((tmp_path / f"{name}.input").read_bytes())
    assert list(small) == ["sizes"] and len(small["sizes"]) == 1
    assert not (tmp_path / "current").exists(), "is there only while an input is at hand"


def test_what_hangs_is_ended_and_what_has_no_words_is_a_fault(monkeypatch):
    monkeypatch.setattr("fuzzing.SECONDS_EACH", 0.2)

    def endless(_):
        while True:
            pass

    def speechless(_):
        raise NanosegError(" ")

    assert try_once(Reader([b"x"], endless), b"x")[1][0].startswith("HangError-")
    assert try_once(Reader([b"x"], speechless), b"x")[1][0] == "error without words"
    assert try_once(Reader([b"x"], lambda data: data), b"x") == (True, None)


def test_bytes_are_reduced_too():
    def read(data):
        return 1 // (0 if b"bad" in data else 1)

    reader = Reader([b"good"], read)
    name = try_once(reader, b"bad")[1][0]
    assert reduced(reader, b"x" * 500 + b"bad" + bytes(300), name) == b"bad"


def test_changed_documents_get_a_seal_that_fits(tmp_path):
    """Else nothing behind the seal is ever reached."""
    whole = []

    def read(data):
        try:
            whole.append(unsealed(json.loads(data)))
        except (ValueError, RecursionError) as error:
            raise NanosegError(str(error)) from error
        return True

    fuzz(Reader([json.dumps(sealed(DOCUMENT)).encode()], read, seal=True), 300, 0, tmp_path, most=300)
    assert sum(each != DOCUMENT and isinstance(each, dict) for each in whole) > 20


def test_a_text_that_begins_as_json_does_is_changed_too(tmp_path):
    """A microscope's text begins with the name of its first section in brackets."""
    text = b"[User]\r\nDate=01/02/2026\r\n"
    seen = set()

    def read(data):
        seen.add(data)
        return data == text

    assert fuzz(Reader([text], read), 300, 0, tmp_path, most=300).crashes == {}
    assert len(seen) > 100


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_all_readers_begin_with_files_that_they_read(tmp_path):
    """How long anybody fuzzes is theirs to say; what chance finds must not decide whether a change is right."""
    command = [sys.executable, str(SCRIPT), "--minutes", "0.1", "--seed", "7", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    figures = json.loads((tmp_path / "out" / "figures.json").read_text(encoding="utf-8"))
    assert len(figures) > 40 and all(figure["inputs"] for figure in figures.values()), done.stdout + done.stderr[-3000:]
    assert not any("process" in figure["crashes"] for figure in figures.values())
