"""Holds `onefold demo` to what it promises: ready within 10 seconds on 2 cores, in 20 lines of output at most.

Run at the project's root: python3 tests/demo_check.py path/to/onefold
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time

SECONDS_MAX = 10.0
LINES_MAX = 20
# How long is waited before it is given up on.
PATIENCE_SECONDS = 120.0


def main(binary: str) -> int:
    with tempfile.TemporaryDirectory(prefix="onefold-demo-") as folder:
        command = [binary, "demo", "--dir", os.path.join(folder, "lake"), "--listen", "127.0.0.1:0"]
        started = time.monotonic()
        demo = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output, ready = read_until_ready(demo.stdout.fileno(), started)
        finally:
            demo.send_signal(signal.SIGINT)
            rest, _ = demo.communicate(timeout=60)
        lines = (output + rest).decode(errors="replace").splitlines()
        print("\n".join(f"  {line}" for line in lines))
        problems = []
        if ready is None:
            problems.append(f"not ready after {time.monotonic() - started:.1f} s")
        elif ready > SECONDS_MAX:
            problems.append(f"ready after {ready:.2f} s, which is more than {SECONDS_MAX:.0f} s")
        if len(lines) > LINES_MAX:
            problems.append(f"{len(lines)} lines of output, which is more than {LINES_MAX}")
        if not any("psql" in line for line in lines):
            problems.append("no psql line to copy")
        if demo.returncode != 130:
            problems.append(f"exit code {demo.returncode} after an interrupt, not 130")
        for problem in problems:
            print(f"demo-check: {problem}", file=sys.stderr)
        if not problems:
            print(f"demo-check: ready after {ready:.2f} s, {len(lines)} lines")
        return 1 if problems else 0


def read_until_ready(descriptor: int, started: float) -> tuple[bytes, float | None]:
    """Returns what was printed, and after how many seconds the line `ready` was there."""
    output = b""
    while (left := started + PATIENCE_SECONDS - time.monotonic()) > 0:
        readable, _, _ = select.select([descriptor], [], [], left)
        if not readable:
            break
        part = os.read(descriptor, 65536)
        if not part:
            break
        output += part
        if any(line.startswith(b"ready ") for line in output.split(b"\n")[:-1]):
            return output, time.monotonic() - started
    return output, None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
