import pytest

from nanoseg_bench.cli.figures import _EPILOG
from nanoseg_bench.errors import UsageError
from nanoseg_bench.leaderboard.figures.gallery import KINDS, choose_kinds


def test_figures_by_number_and_by_name():
    assert [kind.name for kind in choose_kinds(["7", "6"])] == ["loss", "bars"]
    assert [kind.name for kind in choose_kinds(["9"])] == ["overlays", "overlays-ood"]
    assert [kind.name for kind in choose_kinds(["sizes", "12"])] == ["boundaries", "sizes"]
    assert choose_kinds(None) == list(KINDS)


def test_every_figure_of_the_paper_is_there():
    numbers = {number for kind in KINDS for number in kind.numbers}
    assert numbers == {"6", "7", "8", "9", "10", "11", "12"}


def test_help_names_every_figure():
    assert all(kind.name in _EPILOG for kind in KINDS)


def test_an_unknown_figure_is_a_usage_error():
    with pytest.raises(UsageError, match="--only curve: no such figure; did you mean 'curves'"):
        choose_kinds(["curve"])
