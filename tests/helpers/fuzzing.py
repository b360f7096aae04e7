"""Mutation, crashes and their smallest inputs, for fuzzing any reader for as long as one likes."""

import contextlib
import copy
import json
import random
import resource
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.seals import SEAL, sealed

SECONDS_EACH, MEGABYTES_EACH = 20, 700
"""What takes longer of the processor hangs; what takes so much more than was ever taken before blows up."""

ODD = [
    None, True, False, -1, 0, 1, 0.5, 7, 255, 65536, 2**31, 2**32, 2**63, 2**64, 10**30, 1e12, 1e308, -1e308, 5e-324,
    float("nan"), float("inf"), -float("inf"), "", " ", "a", "a.png", "../a.png", "C:\\a.png", "\0", "é", "\ud800",
    "%00", "/", "x" * 300, "AAAA", "1", "-1", "nan", "polygon", "circle", "mask", "ignore", "2001-99-99", [], {},
    [[]], [{}], [0], [None], ["a"], {"": 0}, [[0, 0]], [[1, 1], [2, 2]], [3, 4], {"size": [2, 2], "counts": "04"},
]  # fmt: skip
TOKENS = [
    b"0", b"-1", b"1", b"65535", b"65536", b"4294967295", b"9" * 40, b"9" * 5000, b"1e999", b"nan", b"-inf", b"0x1f",
    b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r", b"\n", b"\n\n",
    b'"', b"'", b",", b";", b"\t", b":", b"- ", b"{", b"}", b"[", b"]", b"&a [*a]", b"!!int x", b"\\", b"\\u0000", b"#",
]  # fmt: skip


class HangError(BaseException):
    """No ``Exception``, so that nobody takes it for a fault of the file."""


@dataclass
class Reader:
    """What is fuzzed.

    Attributes:
        seeds: Valid inputs; the first must be read.
        read: Takes bytes; whether they were read, not refused. Anything else than our own error is a crash.
        pack, unpack: Between the bytes that are changed and those that are read.
        seal: Whether half of the changed documents get a seal that fits.
        ours: Errors that say what is wrong.
    """

    seeds: Sequence[bytes]
    read: Callable[[bytes], object]
    pack: Callable[[bytes], bytes] = lambda data: data
    unpack: Callable[[bytes], bytes] = lambda data: data
    seal: bool = False
    ours: tuple[type[BaseException], ...] = (NanosegError,)


@dataclass
class Findings:
    """What came of a reader.

    Attributes:
        inputs: How many were tried.
        read: How many of them were read.
        seconds: Of the wall clock.
        crashes: Traceback by signature.
    """

    inputs: int = 0
    read: int = 0
    seconds: float = 0.0
    crashes: dict[str, str] = field(default_factory=dict)

    def as_json(self):
        return {"inputs": self.inputs, "read": self.read, "seconds": round(self.seconds, 1), "crashes": self.crashes}


def places(value):
    """(holder, key) of every value inside a JSON value."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from places(value[key])


def as_bytes(document):
    try:
        return orjson.dumps(document)
    except (TypeError, ValueError):  # NaN, numbers beyond 64 bits, halves of pairs
        return json.dumps(document).encode("utf-8", "surrogatepass")


def change_document(document, chance):
    """One value of a JSON document changed; ``document`` itself is."""
    found = list(places(document))
    if not found:
        return chance.choice(ODD)
    holder, key = chance.choice(found)
    value, action = holder[key], chance.randrange(7)
    if action == 0:
        del holder[key]
    elif action == 1:
        other, other_key = chance.choice(found)
        holder[key] = copy.deepcopy(other[other_key]) if other_key in other or isinstance(other, list) else None
    elif action == 2 and isinstance(value, (int, float)) and not isinstance(value, bool):
        holder[key] = value * chance.choice([-1, 0.5, 3, 10**9]) + chance.choice([0, 1, -0.5])
    elif action == 3 and isinstance(value, str) and value:
        place = chance.randrange(len(value))
        holder[key] = value[:place] + chance.choice(["", "0", "\0", "é", "~", "/", value]) + value[place + 1 :]
    elif action == 4 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(value))
    elif action == 5 and isinstance(holder, dict):
        holder[chance.choice(["", "a", "0", f"{key} "])] = holder.pop(key)
    else:
        holder[key] = copy.deepcopy(chance.choice(ODD))
    return document


def change_bytes(data, chance):
    """A piece cut out, doubled, overwritten, put in, or a bit flipped; more often near the beginning."""
    data = bytearray(data)
    where = chance.randrange(min(len(data), 200) if chance.random() < 0.5 else len(data)) if data else 0
    length = 1 + int(chance.expovariate(0.2))
    action = chance.randrange(8)
    if action == 0:
        del data[where:]
    elif action == 1:
        del data[where : where + length]
    elif action == 2:
        data[where:where] = data[where : where + length]
    elif action == 3:
        data[where : where + length] = chance.randbytes(length)
    elif action == 4 and data:
        data[where] ^= 1 << chance.randrange(8)
    elif action == 5 and data:
        data[where] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, (data[where] + 1) % 256, (data[where] - 1) % 256])
    elif action == 6:
        token = chance.choice(TOKENS)
        data[where : where + (len(token) if chance.random() < 0.5 else 0)] = token
    else:  # a number in a text
        end = where
        while end < len(data) and chr(data[end]) in "0123456789.+-eE":
            end += 1
        data[where:end] = chance.choice(TOKENS)
    return bytes(data)


def mutate(reader, chance):
    data = reader.unpack(chance.choice(reader.seeds))
    times = 1 + int(chance.expovariate(0.8))
    document = None
    if data[:1] in (b"{", b"[") and chance.random() < 0.75:
        with contextlib.suppress(ValueError):  # a text may begin so, too, as "[User]" of a microscope
            document = json.loads(data)
    if document is not None:
        for _ in range(times):
            if isinstance(document, (dict, list)):
                document = change_document(document, chance)
        if reader.seal and isinstance(document, dict) and chance.random() < 0.7:
            document.pop(SEAL, None)
            with contextlib.suppress(TypeError, ValueError):
                document = sealed(document)
        return as_bytes(document)
    for _ in range(times):
        data = change_bytes(data, chance)
    return data


def _peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _raise_hang(*_):
    raise HangError(f"more than {SECONDS_EACH} s of the processor")


def try_once(reader, data):
    """(whether it was read, (signature, traceback) of a crash or None)."""
    before = _peak_megabytes()
    signal.signal(signal.SIGPROF, _raise_hang)
    signal.setitimer(signal.ITIMER_PROF, SECONDS_EACH)
    try:
        was_read = reader.read(reader.pack(data))
    except reader.ours as error:
        return False, None if str(error).strip() else ("error without words", traceback.format_exc())
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        inside = [each for each in frames if "/nanoseg_bench/" in each.filename] or list(frames)
        place = inside[-1]
        name = f"{type(error).__name__}-{Path(place.filename).stem}-{place.name}-{place.lineno}"
        return False, (name, traceback.format_exc())
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if (grown := _peak_megabytes() - before) > MEGABYTES_EACH:
        return True, ("memory", f"the peak of memory rose by {grown:.0f} MB")
    return bool(was_read), None


def reduced(reader, data, signature, seconds=15):
    """A smaller input with the same crash: pieces are left out as long as it stays."""
    end = time.monotonic() + seconds

    def same(smaller):
        _, crash = try_once(reader, smaller)
        return crash is not None and crash[0] == signature

    with contextlib.suppress(ValueError, RecursionError):
        document, again = json.loads(data), True
        while again and time.monotonic() < end:
            again = False
            for index in range(len(list(places(document)))):
                smaller = copy.deepcopy(document)
                found = list(places(smaller))
                if index >= len(found) or time.monotonic() > end:
                    break
                holder, key = found[index]
                del holder[key]
                if same(as_bytes(smaller)):
                    document, again = smaller, True
        if same(as_bytes(document)):
            return as_bytes(document)
    block = max(len(data) // 2, 1)
    while block and time.monotonic() < end:
        place = 0
        while place < len(data) and time.monotonic() < end:
            if same(data[:place] + data[place + block :]):
                data = data[:place] + data[place + block :]
            else:
                place += block
        block //= 2
    return data


def fuzz(reader, seconds, seed, keep, most=None):
    """Fuzz one reader.

    Args:
        reader: What is fuzzed.
        seconds: For how long.
        seed: Same seed, same inputs.
        keep: Folder for the smallest input and the traceback of each crash; ``current`` there is the input at hand, for
            when the process itself dies of it.
        most: Inputs; as many as the time allows by default.
    """
    keep.mkdir(parents=True, exist_ok=True)
    chance, findings = random.Random(seed), Findings()
    # Without limits: the first one imports what reads.
    assert reader.read(reader.pack(reader.unpack(reader.seeds[0]))), "the valid input is refused"
    begin = time.monotonic()
    while time.monotonic() < begin + seconds and findings.inputs != most:
        data = mutate(reader, chance)
        (keep / "current").write_bytes(data)
        was_read, crash = try_once(reader, data)
        findings.inputs += 1
        findings.read += was_read
        if crash is not None and crash[0] not in findings.crashes:
            findings.crashes[crash[0]] = crash[1]
            small = data if crash[0] in ("memory",) or "Hang" in crash[0] else reduced(reader, data, crash[0])
            (keep / f"{crash[0]}.input").write_bytes(small)
            (keep / f"{crash[0]}.txt").write_text(crash[1], encoding="utf-8", errors="replace")
    (keep / "current").unlink(missing_ok=True)
    findings.seconds = time.monotonic() - begin
    return findings
