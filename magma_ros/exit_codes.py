"""What every `magma-ros` subcommand and every node ends with; scripts may rely on it."""

from __future__ import annotations

OK = 0
"""Done, and nothing is wrong with what was looked at."""
FAILED = 1
"""Done, but the answer is bad: a trial ended in an error, a check found a fault, a plan does not fit."""
REFUSED = 2
"""Not begun, or given up: a wrong option, something missing or broken; the reason is one line on stderr."""
INTERRUPTED = 130
"""Ended by Ctrl-C: 128 and the number of SIGINT, as a shell counts."""
