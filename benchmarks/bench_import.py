"""What does ``import lightdata`` cost, beside ``import polars``? And the first row of a fresh process?"""

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


def test_first_row(benchmark, photos):
    """A process that decodes the first photo of a folder, and ends."""
    benchmark.group = "the first row of a fresh process"
    program = "import sys, lightdata as ld; assert ld.read_images(sys.argv[1]).take(1)"
    benchmark.pedantic(run, (program, str(photos)), rounds=9, warmup_rounds=1)


def test_first_row_by_hand(benchmark, photos):
    """The same in Pillow and NumPy, with Polars and pyarrow imported."""
    benchmark.group = "the first row of a fresh process"
    program = """
import sys, numpy, polars, pyarrow
from pathlib import Path
from PIL import Image
assert numpy.asarray(Image.open(next(Path(sys.argv[1]).iterdir()))).size
"""
    benchmark.pedantic(run, (program, str(photos)), rounds=9, warmup_rounds=1)
