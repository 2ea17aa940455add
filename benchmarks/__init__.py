"""What a deploy costs, how long things take, and how that grows, beside what most people run: ``make bench``."""

import sys
from pathlib import Path

FUNCTIONS = Path(__file__).parent.parent / "functions"
if str(FUNCTIONS) not in sys.path:
    sys.path.append(str(FUNCTIONS))  # as it is on Lambda: the handlers, and what they share
