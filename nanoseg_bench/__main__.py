"""``python -m nanoseg_bench`` is the same program as ``nanoseg-bench``."""

from nanoseg_bench.cli import run_from_shell

if __name__ == "__main__":
    run_from_shell()
