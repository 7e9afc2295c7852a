from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "scipy", "sklearn", "pandas", "matplotlib", "rich", "jinja2", "distributed")


def printed_by(program: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def test_no_public_name_needs_a_heavy_package_to_be_imported() -> None:
    found = printed_by(
        "import sys, convergent as cv; [getattr(cv, name) for name in cv.__all__]; "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert found == "[]"


def test_a_name_is_loaded_when_it_is_first_used() -> None:
    found = printed_by(
        "import sys, convergent as cv; before = 'numpy' in sys.modules; cv.cka; "
        "print(before, 'numpy' in sys.modules, 'convergent.measures.subspace' in sys.modules)"
    )
    assert found == "False True False"
