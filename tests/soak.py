"""Many runs of a client that is dropped at random, or of a game with random players: `make soak`, `make soak-games`.

python -m tests.soak --seeds 1000
python -m tests.soak --seed 17    # one of them again
python -m tests.soak --games --seeds 10000
"""

import argparse
import logging
import multiprocessing
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed

from .harness import drops, seating

SEEDS = 1_000


def play(seed: int) -> Counter[str]:
    """Do one run with a game, whose hooks fail on purpose, without the log of that."""
    logging.disable()
    return seating.run(seed)


def soak(run: Callable[[int], Counter[str]], seeds: int, again: str) -> int:
    """Do the runs, on all cores; return how many have failed. `again` are the words that do one of them again."""
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
        print(f"failed: {again} --seed {' or '.join(map(str, sorted(failed)))}")
    return len(failed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Runs with random events.")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many runs, with seeds from 0 (default: {SEEDS})")
    parser.add_argument("--seed", type=int, help="only the run with this seed")
    parser.add_argument("--games", action="store_true", help="games with random players, instead of drops")
    arguments = parser.parse_args()
    run = play if arguments.games else drops.run
    if arguments.seed is not None:
        print(run(arguments.seed))
    else:
        again = f"python -m tests.soak{' --games' if arguments.games else ''}"
        sys.exit(1 if soak(run, arguments.seeds, again) else 0)


if __name__ == "__main__":
    main()
