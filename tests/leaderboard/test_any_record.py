"""Whatever stands in a record: it is refused by its name, or is a row."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_documents import FEW, MANY, damaged, mutated, odd_values

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.leaderboard.build import leaderboard_texts
from nanoseg_bench.seals import SEAL, sealed


@pytest.mark.parametrize("limits", [FEW, pytest.param(MANY, marks=pytest.mark.faults)], ids=["few", "many"])
def test_any_record(tmp_path, keep_records, make_record, limits):
    path, _ = keep_records(tmp_path, make_record("a", 0.4), make_record("b", 0.6))
    document = json.loads(path.read_text(encoding="utf-8"))
    unsealed = {key: value for key, value in document.items() if key != SEAL}

    def with_seal(data):
        try:
            return json.dumps(sealed(json.loads(data))).encode()
        except (TypeError, ValueError):
            return data

    @limits
    @given(
        st.one_of(
            mutated(unsealed),
            mutated(unsealed).map(with_seal),
            damaged(json.dumps(document).encode()),
            odd_values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
        )
    )
    def run(data):
        path.write_bytes(data)
        try:
            leaderboard_texts(tmp_path, "toy")
        except NanosegError as error:
            assert str(error)

    run()
