"""The versions that ``make setup`` installs are there for every Python that is promised, from its first release on.

Debian 12 has Python 3.11.2, and a package that asks for 3.11.5 stopped the installation there.
"""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent


def pins():
    """(name, version) of each line of ``constraints.txt``."""
    return re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)


def promised_pythons():
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["classifiers"]
    return [f"{each.rpartition(' ')[2]}.0" for each in classifiers if re.search(r":: 3\.\d+$", each)]


def test_pinned_versions_take_every_promised_python():
    """As far as they are installed here: what a package asks for stands in its metadata."""
    pythons, seen, refused = promised_pythons(), 0, {}
    for name, version in pins():
        try:
            installed = distribution(name)
        except PackageNotFoundError:  # of an extra, or of another Python
            continue
        if installed.version != version:
            continue
        seen += 1
        asked = SpecifierSet(installed.metadata.get("Requires-Python") or "")
        if without := [python for python in pythons if python not in asked]:
            refused[f"{name}=={version}"] = f"{asked}, so not {', '.join(without)}"
    assert refused == {}
    assert pythons and seen > 100
