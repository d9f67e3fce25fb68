"""What does ``import lightdata`` cost, beside ``import polars``?"""

import subprocess
import sys

import pytest

IMPORTS = {
    "python": "pass",
    "polars": "import polars",
    "lightdata": "import lightdata",
    "lightdata and polars": "import lightdata, polars",
    "polars, pyarrow and pillow": "import polars, pyarrow, PIL.Image",
}


def run(program, *args):
    subprocess.run([sys.executable, "-c", program, *args], check=True)  # noqa: S603 - programs of this file


@pytest.mark.parametrize("what", IMPORTS)
def test_import(benchmark, what):
    """A process that imports, and ends."""
    benchmark.group = "import"
    benchmark.pedantic(run, (IMPORTS[what],), rounds=9, warmup_rounds=1)
