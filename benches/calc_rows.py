#!/usr/bin/env python3
"""`gongji calc` over millions of rows: how long it takes, and how much memory it holds.

    cargo build --release && python3 benches/calc_rows.py
    python3 benches/calc_rows.py --rows 100000 --program target/debug/gongji --folder DIR

Writes a CSV of wages (made up, the same every time), runs `gongji calc contribution` over it with the results in a file, and
prints the time, the rate and the largest resident memory of the program. Needs about 1 GB of disk for each million rows, in
--folder (left out: the system's temporary folder); what it wrote is removed again.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MEMORY_MB = 200


def write_wages(path, rows):
    with open(path, "w", encoding="ascii") as out:
        out.write("item_id,wage_fen,injury_class\n")
        for first in range(0, rows, 10_000):
            last = min(first + 10_000, rows)
            out.write("".join(f"p{n},{200_000 + n * 7_919 % 4_000_000},{n % 8 + 1}\n" for n in range(first, last)))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--program", default=str(ROOT / "target/release/gongji"))
    options.add_argument("--folder", default=None)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        staff, results = pathlib.Path(folder) / "staff.csv", pathlib.Path(folder) / "results.jsonl"
        write_wages(staff, given.rows)
        began = time.monotonic()
        run = subprocess.run(
            [given.program, "calc", "contribution", staff, "--region", "310000", "--on", "2025-08-01", "--out", results],
            stdout=subprocess.PIPE, text=True, check=True,
        )
        took = time.monotonic() - began
        # Linux counts this in KiB.
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        size = results.stat().st_size / 1e9
    print(run.stdout, end="")
    passed = memory <= MEMORY_MB and run.stdout.startswith(f"{given.rows} rows, {given.rows} results, 0 errors")
    print(f"{given.rows} rows, {size:.1f} GB of results: {took:.1f} s, {given.rows / took:.0f} rows a second, "
          f"{memory:.0f} MB at most (wanted {MEMORY_MB}): {'pass' if passed else 'FAIL'}")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
