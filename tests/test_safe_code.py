"""Nothing in the package runs what stands in a user's file, or has the means to call another machine.

Ruff's rules ``S`` look for the same and more in ``make lint``, but a comment silences them, and they do not know
``torch.load``. Here nothing is excepted.
"""

import ast
from pathlib import Path

import pytest

import nanoseg_bench

PACKAGE = Path(nanoseg_bench.__file__).parent

RUNS_WHAT_IS_READ = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle", "imp", "code"}
"""Modules that unpickle or run what they read."""

CALLS_OTHERS = {
    "aiohttp", "fabric", "ftplib", "gdown", "http.client", "httpx", "huggingface_hub", "imaplib", "paramiko", "poplib",
    "requests", "smtplib", "telnetlib", "torch.hub", "urllib.request", "urllib3", "xmlrpc",
}  # fmt: skip
"""Modules that reach other machines."""

READS_ENTITIES = {"xml.etree", "xml.dom", "xml.sax.expatreader", "xml.parsers"}
"""XML parsers of the standard library, which a small file keeps busy for hours. Of ``xml.sax.saxutils`` none parses."""

RUNS_TEXT = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "pty.spawn", "runpy.run_path"}

READS_OBJECTS = {
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
    "pandas.read_pickle",
    "pd.read_pickle",
}

UNPACKS = {"extractall", "extract", "unpack_archive"}
"""Writes files at the places that an archive names."""

MUST_SAY = {"torch.load": ("weights_only", True)}

MUST_NOT_SAY = {("shell", True), ("allow_pickle", True), ("weights_only", False), ("resolve_entities", True)}


def name_of(node):
    """Dotted name of what is called; empty where it is not a name."""
    if isinstance(node, ast.Attribute):
        inner = name_of(node.value)
        return f"{inner}.{node.attr}" if inner else f".{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imported(node):
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{each.name}" for each in node.names]
    return []


def unsafe_in_call(call):
    name = name_of(call.func)
    said = {word.arg: word.value.value for word in call.keywords if isinstance(word.value, ast.Constant)}
    if name in RUNS_TEXT | READS_OBJECTS or name.rpartition(".")[2] in UNPACKS:
        yield name
    if name in MUST_SAY and said.get(MUST_SAY[name][0]) is not MUST_SAY[name][1]:
        yield name
    yield from (f"{word}={value}" for word, value in said.items() if (word, value) in MUST_NOT_SAY)
    # A variable would decide what is to be decided here.
    yield from (
        f"{word.arg}=…"
        for word in call.keywords
        if word.arg in {"shell", "allow_pickle", "weights_only"} and not isinstance(word.value, ast.Constant)
    )


def unsafe_in(text):
    """What stands in Python code that may run or unpack what a user's file says, or reach another machine."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            found.update(unsafe_in_call(node))
        for name in imported(node):
            parts = name.split(".")
            heads = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
            found.update(heads & (RUNS_WHAT_IS_READ | CALLS_OTHERS | READS_ENTITIES))
            if name in RUNS_TEXT | READS_OBJECTS | set(MUST_SAY):
                found.add(name)  # imported by itself, its calls would go by unseen
    return found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import pickle", {"pickle"}),
        ("from pickle import loads", {"pickle"}),
        ("def read():\n    import joblib", {"joblib"}),
        ("import urllib.request", {"urllib.request"}),
        ("from urllib import request", {"urllib.request"}),
        ("from torch.hub import load_state_dict_from_url", {"torch.hub"}),
        ("from xml.etree import ElementTree", {"xml.etree"}),
        ("yaml.load(text, Loader=yaml.Loader)", {"yaml.load"}),
        ("from yaml import load", {"yaml.load"}),
        ("value = eval(text)", {"eval"}),
        ("exec(compile(text, 'a', 'exec'))", {"exec", "compile"}),
        ("subprocess.run(command, shell=True)", {"shell=True"}),
        ("subprocess.run(command, shell=wanted)", {"shell=…"}),
        ("os.system(command)", {"os.system"}),
        ("torch.load(path)", {"torch.load"}),
        ("torch.load(path, weights_only=False)", {"torch.load", "weights_only=False"}),
        ("np.load(path, allow_pickle=True)", {"allow_pickle=True"}),
        ("zipfile.ZipFile(path).extractall(folder)", {".extractall"}),
        ("archive.extract(member)", {"archive.extract"}),
    ],
)
def test_what_is_unsafe_is_found(code, found):
    assert unsafe_in(code) == found


@pytest.mark.parametrize(
    "code",
    [
        "network.eval()",
        "re.compile(pattern)",
        "yaml.safe_load(text)",
        "torch.load(path, map_location='cpu', weights_only=True)",
        "subprocess.run(command, check=True)",
        "np.load(path, allow_pickle=False)",
        "from urllib.parse import urlsplit",
        "from xml.sax.saxutils import escape",
        "from .pickle import own",
    ],
)
def test_what_is_safe_is_not(code):
    assert unsafe_in(code) == set()


def test_nothing_in_the_package_is_unsafe():
    """The one way to a pickle is Ultralytics' reading of a ``.pt``, behind ``trust_pickle`` (``nsyolo.yolo``)."""
    paths = [path for path in PACKAGE.rglob("*.py") if "_data" not in path.parts]
    assert len(paths) > 300
    found = {path.relative_to(PACKAGE).as_posix(): unsafe_in(path.read_text("utf-8")) for path in paths}
    assert {path: names for path, names in found.items() if names} == {}
