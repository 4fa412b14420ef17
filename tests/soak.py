"""Many runs of a client that is dropped at random: `make soak`, or one of them again.

python -m tests.soak --seeds 1000
python -m tests.soak --seed 17
"""

import argparse
import multiprocessing
import os
import sys
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed

from .harness.drops import DROPS, run

SEEDS = 1_000


def soak(seeds: int) -> int:
    """Do the runs, on all cores; return how many have failed."""
    told: Counter[str] = Counter()
    failed = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        runs = {pool.submit(run, seed): seed for seed in range(seeds)}
        for done, each in enumerate(as_completed(runs), 1):
            error = each.exception()
            if error is None:
                told.update(each.result())
            else:
                failed.append(runs[each])
                traceback.print_exception(error, limit=-4)
            if done % 100 == 0:
                print(f"{done} of {seeds} runs, {len(failed)} failed", flush=True)
    print(", ".join(f"{outcome} {count:,}" for outcome, count in told.items()))
    if failed:
        print(f"failed: python -m tests.soak --seed {' or '.join(map(str, sorted(failed)))}")
    return len(failed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=f"Runs of {DROPS} drops each.")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many runs, with seeds from 0 (default: {SEEDS})")
    parser.add_argument("--seed", type=int, help="only the run with this seed")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        print(run(arguments.seed))
    else:
        sys.exit(1 if soak(arguments.seeds) else 0)


if __name__ == "__main__":
    main()
