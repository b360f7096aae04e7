"""nanoseg-bench with seconds where it has minutes: ``python impatient.py VERB ...``, in a process of its own.

Signs of life, the wait for them, and the time between two checkpoints are short; all else is as it is.
"""

import sys
from pathlib import Path

JOB = "--job"


def command_of(job_file):
    return [sys.executable, __file__, JOB, str(job_file)]


def main(arguments):
    if arguments[0] == JOB:
        from nanoseg_bench.models import training
        from nanoseg_bench.runs import job

        training._SECONDS_BETWEEN_CHECKPOINTS = 0.2
        return job._main(Path(arguments[1]))
    from nanoseg_bench.runs import stored_writer

    stored_writer.LEASE, stored_writer.BEAT = 20.0, 0.5  # many beats: a busy machine may miss some
    from nanoseg_bench.cli import main as command_line
    from nanoseg_bench.runs import executors

    executors._command = command_of
    return command_line(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
