"""The Python blocks of docs/scaling.md: ```python ENGINE, and what they print in the block of text behind. Blocks without an engine run with
those of the other documents."""

import re
from pathlib import Path

_PAGE = Path(__file__).parents[4] / "docs/scaling.md"
_BLOCK = re.compile(r"^```python (\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", re.M | re.S)


def blocks():
    """Engine, program and output of each block."""
    return [(engine, f"import numpy, tenure\n{code}", shown) for engine, code, shown in _BLOCK.findall(_PAGE.read_text())]


def of(engine):
    """Programs and outputs of an engine."""
    return [(code, shown) for name, code, shown in blocks() if name == engine]
