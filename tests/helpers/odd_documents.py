"""Documents that nobody writes on purpose, for hypothesis: odd values, changed documents, damaged bytes."""

import copy
import functools
import json
import time

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

SECONDS = 5.0
"""Of the processor, that one example may take. Hypothesis' own deadline is one of the clock, which goes on while other
programs have the processor."""


class Limits:
    """What stands above ``given``: how many examples there are, and how long each of them may take.

    Args:
        examples: At most.
    """

    def __init__(self, examples):
        slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
        self._settings = settings(max_examples=examples, deadline=None, suppress_health_check=slow)

    def __call__(self, test):
        test.hypothesis.inner_test = _in_time(test.hypothesis.inner_test)
        return self._settings(test)


def _in_time(test):
    @functools.wraps(test)
    def timed(*values, **named):
        for _ in range(2):  # the first one may have imported something
            began = time.process_time()
            test(*values, **named)
            if time.process_time() - began < SECONDS:
                return
        raise AssertionError(f"takes more than {SECONDS:g} s of the processor")

    return timed


FEW = Limits(40)
"""Of the everyday tests."""
MANY = Limits(2000)
"""Of those marked ``faults``."""

odd_numbers = st.one_of(
    st.sampled_from([0, -1, 1, 0.5, 2**31, 2**32, 2**63, 10**30, 10**400, 1e12, 1e308, -1e308, 5e-324]),
    st.sampled_from([float("nan"), float("inf"), -float("inf")]),
    st.integers(-100, 100),
    st.floats(),
)
odd_texts = st.one_of(
    st.sampled_from(["", " ", "a.png", "../a.png", "C:\\a.png", "http://[x/a.png", "\0", "\ud800", "x" * 300, "AAAA"]),
    st.sampled_from(["polygon", "circle", "rectangle", "mask", "ellipse", "rect", "ignore", "é", "%00", "/"]),
    st.text(max_size=20),
)
odd_values = st.recursive(
    st.one_of(st.none(), st.booleans(), odd_numbers, odd_texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.dictionaries(st.one_of(odd_texts, st.sampled_from(["name", "size", "counts", "points"])), inner, max_size=4),
    ),
    max_leaves=12,
)


def places(value, path=()):
    """Every place inside a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from places(child, (*path, key))


def changed(document, path, value, delete):
    document = copy.deepcopy(document)
    if not path:
        return value
    holder = document
    for key in path[:-1]:
        if not isinstance(holder, (dict, list)) or (isinstance(holder, list) and key >= len(holder)):
            return document
        if isinstance(holder, dict) and key not in holder:
            return document
        holder = holder[key]
    if isinstance(holder, dict) or (isinstance(holder, list) and isinstance(path[-1], int) and path[-1] < len(holder)):
        if delete:
            holder.pop(path[-1], None) if isinstance(holder, dict) else holder.pop(path[-1])
        else:
            holder[path[-1]] = value
    return document


@st.composite
def mutated(draw, document):
    """A valid document with one to three places replaced or removed."""
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(document))))
        document = changed(document, path, draw(odd_values), draw(st.booleans()) and bool(path))
        if not isinstance(document, (dict, list)):
            break
    return json.dumps(document).encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw, data):
    """Valid bytes: cut, with some overwritten, or with some put in."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, max(len(data) - 1, 0)))
        piece = draw(st.binary(min_size=1, max_size=8))
        action = draw(st.sampled_from(["cut", "overwrite", "insert"]))
        if action == "cut":
            del data[position:]
        else:
            data[position : position + (len(piece) if action == "overwrite" else 0)] = piece
    return bytes(data)
