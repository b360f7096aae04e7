"""Fits the namer of outlines that ships with the package, anew.

    python tests/benchmarks/train_shape_names.py

Needs scikit-learn. The same numbers come out each time, but for the last digits that another processor may round
otherwise.
"""

import argparse
import time
from pathlib import Path

from nanoseg_bench.measure.shape_names.namer import SHIPPED
from nanoseg_bench.measure.shape_names.training import fit_namer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-name", type=int, default=4000, help="silhouettes of each name (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="file to write (default: the one that ships)")
    arguments = parser.parse_args()
    start = time.process_time()
    namer = fit_namer(arguments.per_name)
    namer.write(arguments.out)
    print(f"{arguments.out}: {len(namer.names) * arguments.per_name} silhouettes, {time.process_time() - start:.0f} s")


if __name__ == "__main__":
    main()
