"""The records that a command wrote."""

from nanoseg_bench.runs.record import find_records, read_record


def read_records(leaderboards, set_name):
    """All records of a prepared set's name, sorted by file name."""
    return [read_record(path) for path in find_records(leaderboards, set_name)]
