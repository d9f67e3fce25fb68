"""Print what an import, or a whole program, spends its time on: ``python benchmarks/importtime.py "import lightdata"``.

The program runs several times in interpreters of their own; of each module the median is told, and of each library the
sum of its modules. Python's own tracing makes everything slower by about a tenth.
"""

import re
import statistics
import subprocess
import sys
from collections import defaultdict

RUNS = 5
SHOWN = 15
LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|\s+(\S+)")


def traced(program):
    """Give the microseconds of each module, without those that it imports."""
    done = subprocess.run(  # noqa: S603 - what the caller asks to be run
        [sys.executable, "-X", "importtime", "-c", program], capture_output=True, text=True, check=True
    )
    return {found[3]: int(found[1]) for found in map(LINE.match, done.stderr.splitlines()) if found}


def table(title, microseconds):
    """Print the dearest, as Markdown."""
    print(f"\n| {title} | ms |\n|---|---|")
    for name, spent in sorted(microseconds.items(), key=lambda one: -one[1])[:SHOWN]:
        print(f"| {name} | {spent / 1000:.1f} |")


def main(program):
    runs = [traced(program) for _ in range(RUNS)]
    modules = {name: statistics.median(run.get(name, 0) for run in runs) for name in runs[0]}
    libraries = defaultdict(int)
    for name, spent in modules.items():
        top = name.partition(".")[0]
        libraries["Python's own" if top in sys.stdlib_module_names else top] += spent
    print(f"{program!r}: {len(modules)} modules, {sum(modules.values()) / 1000:.0f} ms")
    table("library", libraries)
    table("module", modules)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "import lightdata")
