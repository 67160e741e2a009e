"""The engine's heap: what comes and goes leaves no holes."""

import subprocess
import sys

COUNT = 150
CHURN = """
import gc, random, sys
import numpy as np
from llmsh.engine import heap
if sys.argv[1] == "arranged":
    heap.arrange()
draw = random.Random(1)

def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

def image(size):
    return np.ones(size, np.uint8)

before = resident()
images = [image(1_400_000) for _ in range(int(sys.argv[2]))]
for _ in range(4 * len(images)):
    at = draw.randrange(len(images))
    size = images[at].nbytes + draw.randrange(200_000)
    images[at] = None
    images[at] = image(size)
print(resident() - before - sum(each.nbytes for each in images) // 1024)
"""


def beyond(how: str) -> float:
    """KiB that each image takes beyond itself, of those that came and went."""
    words = [sys.executable, "-c", CHURN, how, str(COUNT)]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout) / COUNT


def test_images_that_come_and_go_take_little_more_than_themselves() -> None:
    assert beyond("arranged") < 16


def test_without_it_they_leave_holes() -> None:
    """A test of the test."""
    assert beyond("as it is") > 64


def test_images_have_no_huge_pages() -> None:
    """A hypervisor takes those back when they are free, and is slow to give them again."""
    words = "import llmsh.engine.__main__, numpy; print(numpy._core.multiarray._get_madvise_hugepage())"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
