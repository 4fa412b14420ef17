"""Run Autobahn's conformance suite against the product, over TCP and over TLS: python -m tests.conformance.

The suite (autobahntestsuite on PyPI) runs on CPython 2.7 only. It is installed into .cache/ the first time. Without a
CPython 2.7 nothing is run, and this says so. Exit status 1: a case failed, or its Close was not accepted.

12.* and 13.* are left out: they test compression, which the product does not offer.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

ROOT = Path(__file__).parents[2]
SUITE = ROOT / ".cache" / "autobahn"
MOST_SECONDS = 600  # for one run; 60 to 90 s as measured
ACCEPTED = {"OK", "NON-STRICT", "INFORMATIONAL"}  # the suite's own words; all others are failures
CLOSE_ACCEPTED = {"OK", "INFORMATIONAL"}


def find_python() -> str | None:
    """Return a CPython 2.7 that runs, or None."""
    installed = sorted(map(str, Path.home().glob(".pyenv/versions/2.7*/bin/python2.7")))
    for candidate in (os.environ.get("PYTHON27"), shutil.which("python2.7"), *installed):
        if candidate and not subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode:
            return candidate
    return None


def install(python: str) -> dict[str, str]:
    """Install the suite unless it is there; return the environment to run it in."""
    environment = {**os.environ, "PYTHONUSERBASE": str(SUITE)}
    if not (SUITE / "bin" / "wstest").exists():
        print("installing the suite ...", flush=True)
        # Three times quiet: errors only, without pip's own words about its age and that of CPython 2.7.
        command = [python, "-m", "pip", "install", "-qqq", "--user", "--no-warn-script-location"]
        subprocess.run([*command, "autobahntestsuite==25.10.1"], env=environment, check=True)
    return environment


@contextmanager
def running_server(certificate: Path | None) -> Iterator[int]:
    """Run the echo server; yield its port."""
    command = [sys.executable, "-m", "tests.conformance.echo_server", *([str(certificate)] if certificate else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def run_suite(python: str, environment: dict[str, str], certificate: Path | None) -> bool:
    """Run all cases, print three numbers, and return whether all are as they should be."""
    with tempfile.TemporaryDirectory() as folder, running_server(certificate) as port:
        spec = {
            "outdir": folder,
            "servers": [{"agent": "simplysocket", "url": f"{'wss' if certificate else 'ws'}://127.0.0.1:{port}/ws"}],
            "cases": ["*"],
            "exclude-cases": ["12.*", "13.*"],
            "exclude-agent-cases": {},
        }
        path = Path(folder) / "spec.json"
        path.write_text(json.dumps(spec))
        command = [python, "-m", "autobahntestsuite.wstest", "--mode", "fuzzingclient", "--spec", str(path)]
        log = subprocess.run(
            command,
            env=environment,
            timeout=MOST_SECONDS,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        report = Path(folder) / "index.json"
        if not report.exists():
            sys.exit(f"the suite failed:\n{log.stdout.decode(errors='replace')[-2_000:]}")
        cases: dict[str, dict[str, str]] = json.loads(report.read_text())["simplysocket"]
    failed = {name: case["behavior"] for name, case in cases.items() if case["behavior"] not in ACCEPTED}
    unclosed = {
        name: case["behaviorClose"] for name, case in cases.items() if case["behaviorClose"] not in CLOSE_ACCEPTED
    }
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(c["behavior"] for c in cases.values()).most_common())
    print(f"{'TLS' if certificate else 'TCP'}: {len(cases)} cases ({kinds}), {len(failed)} failed, ", end="")
    print(f"{len(cases) - len(unclosed)} with an accepted close", flush=True)
    for name, behavior in {**failed, **unclosed}.items():
        print(f"  {name}: {behavior}")
    return bool(cases) and not failed and not unclosed


def main() -> int:
    """Run the suite over TCP, then over TLS."""
    python = find_python()
    if python is None:
        print("NOT RUN: the conformance suite needs CPython 2.7, and this machine has none (or set PYTHON27=...)")
        return 0
    environment = install(python)
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "server.pem"
        trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        results = [run_suite(python, environment, each) for each in (None, certificate)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
