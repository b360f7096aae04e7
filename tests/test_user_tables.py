import io

import pytest

from nanoseg_bench.user_tables import separator_of


@pytest.mark.parametrize(
    ("header", "separator"),
    [
        ("name,split\n", ","),
        ("name;nm_per_px\na;0,5\n", ";"),
        ("name\tdoi\n", "\t"),
        ("name;size, nm;shape\n", ";"),
        ("name\n", ","),
        ("", ","),
    ],
)
def test_the_first_line_says_what_parts_cells(header, separator):
    stream = io.StringIO(header)
    assert separator_of(stream) == separator
    assert stream.tell() == 0
