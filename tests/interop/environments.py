"""Run the tests of other libraries and places, each in an environment that has them.

``python tests/interop/environments.py [--files] [--keep FOLDER] [name ...]``; needs ``uv``. With ``--files`` the files
under ``data`` are written anew first. Environments are made under ``FOLDER`` if it is given, and are used again there.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

PACKAGES = {
    "numpy": [],
    "huggingface": ["datasets"],
    "torch": ["torch"],
    "tensorflow": ["tensorflow-cpu"],
    "ray": ["ray[data]", "tensorflow-cpu", "crc32c"],
    "daft": ["daft"],
    "xdist": ["pytest-xdist"],
    "jupyter": ["ipykernel", "jupyter-client"],
}
WRITERS = ("numpy", "huggingface", "tensorflow", "ray", "daft")
TESTING = ["pytest", "pytest-timeout", "pytest-benchmark", "hypothesis", "pandas"]


def python_of(name, folder):
    """Make an environment, or find it, and give its interpreter."""
    place = folder / name
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        call(["uv", "venv", "-q", "--python", sys.executable, str(place)])
        needed = ["-r", str(ROOT / "pyproject.toml"), *TESTING, *PACKAGES[name]]
        call(["uv", "pip", "install", "-q", "--python", str(python), *needed])
    return str(python)


def call(command):
    """Run a command, and say which."""
    sys.stdout.write(f"+ {' '.join(command)}\n")
    sys.stdout.flush()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=True)


def run(name, folder, *, files):
    """Write the files of one library if asked to, and run its tests."""
    python = python_of(name, folder)
    if files and name in WRITERS:
        call([python, str(HERE / "written_by.py"), name])
    tests = [str(HERE / "test_foreign_files.py"), *map(str, HERE.glob(f"test_interop_{name}.py"))]
    call([python, "-m", "pytest", "-p", "no:cacheprovider", "-m", "slow or not slow", *tests])


def main():
    """Run all, or those that are named."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("names", nargs="*", default=list(PACKAGES))
    asked.add_argument("--files", action="store_true")
    asked.add_argument("--keep", type=Path)
    options = asked.parse_args()
    if unknown := set(options.names) - set(PACKAGES):
        asked.error(f"no environment {', '.join(sorted(unknown))}; there are {', '.join(PACKAGES)}")
    if shutil.which("uv") is None:
        asked.error("uv is needed: https://docs.astral.sh/uv")
    with TemporaryDirectory() as temporary:
        for name in options.names:
            run(name, options.keep or Path(temporary), files=options.files)


if __name__ == "__main__":
    main()
