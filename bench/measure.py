"""Repetitions, medians, and lines of the report."""

import dataclasses
import math
import os
import statistics
import subprocess
import time


@dataclasses.dataclass
class Sample:
    """The seconds of every repetition of one thing."""

    seconds: list

    @property
    def median(self):
        return statistics.median(self.seconds)

    @property
    def count(self):
        return len(self.seconds)

    @property
    def spread(self):
        """How far apart the fastest and the slowest were, as a share of the median."""
        return (max(self.seconds) - min(self.seconds)) / self.median if self.median else 0.0


@dataclasses.dataclass
class Line:
    """One line of the report. A ratio is onefold's time over the peer's: below 1 onefold is faster."""

    part: str
    what: str
    onefold: str
    peer: str = ""
    ratio: float | None = None
    aim: float | None = None
    met: bool | None = None
    spread: float | None = None
    count: int | None = None


def seconds_of(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def alternate(works, repeat, warm=True):
    """Runs each of the named works in turn, `repeat` times after a round that is not measured."""
    taken = {name: [] for name in works}
    for round_number in range(-1 if warm else 0, repeat):
        for name, work in works.items():
            seconds = seconds_of(work)
            if round_number >= 0:
                taken[name].append(seconds)
    return {name: Sample(seconds) for name, seconds in taken.items()}


def geometric_mean(ratios):
    return math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))


def run(command, timeout_s, **options):
    """Runs a program to its end, and returns its seconds and what it wrote."""
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RuntimeError(f"{command[0]} {command[1]} took more than {timeout_s} s") from None
        seconds = time.perf_counter() - begun
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{output[-4000:]}")
    return seconds, output


def run_with_peak(command, timeout_s, log):
    """Runs a program that writes into `log`, and returns its seconds and the most memory that it had, in bytes."""
    begun = time.perf_counter()
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() - begun > timeout_s:
                process.kill()
                process.wait()
                raise RuntimeError(f"{command[0]} {command[1]} took more than {timeout_s} s")
            time.sleep(0.002)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        with open(log, encoding="utf-8") as output:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{output.read()[-4000:]}")
    return seconds, usage.ru_maxrss * 1024


def seconds_text(seconds):
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.2f} s"


def count_text(count):
    if count >= 1e6:
        return f"{count / 1e6:.2f} M"
    if count >= 1e3:
        return f"{count / 1e3:.0f} k"
    return f"{count:.0f}"
