from __future__ import annotations

import subprocess
import sys


def test_import_is_light() -> None:
    program = (
        "import sys, convergent as cv; cv.Statistics, cv.Moments, cv.Factor; "
        "print([name for name in ('torch', 'scipy', 'sklearn') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
