"""Do what the tutorials tell a stranger to do, in their order, and write down what passed. Standard library only.

    .venv/bin/python tools/run_tutorials.py                        # all of it, after `make setup`
    .venv/bin/python tools/run_tutorials.py measure_a_policy       # one tutorial; `first_run:2` names its second block

Blocks that need what the demo machine lacks are listed and left out. Each block runs in a shell of its own at the root
of the checkout, as it stands in the text. What they write is in outputs/tutorial, which a run of all tutorials deletes
first; passed.jsonl there has a line for each block.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import doc_blocks

ORDER = ("first_run", "measure_a_policy", "finetune", "som_tom", "your_arm")
FOLDER = doc_blocks.ROOT / "outputs" / "tutorial"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen blocks until one fails; gives 0, or 1 when one did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tutorials", nargs="*", help="NAME or NAME:NUMBER; all of them by default")
    parser.add_argument("--timeout-s", type=float, default=3600.0, help="longest time of one block [s]")
    options = parser.parse_args(arguments)
    if not options.tutorials:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for place, block in chosen(options.tutorials or ORDER):
        if not block.runs_here:
            print(f"{place}: left out, {block.title}", flush=True)
            continue
        print(f"{place}:\n{block.text}", flush=True)
        started_s = time.monotonic()
        status = run(block, timeout_s=options.timeout_s)
        passed = status == block.status
        result = {"block": place, "passed": passed, "status": status, "seconds": round(time.monotonic() - started_s, 1)}
        with (FOLDER / "passed.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        print(f"{place}: {'passed' if passed else 'FAILED'} with status {status}, {result['seconds']} s", flush=True)
        if not passed:
            return 1
    return 0


def chosen(names: Sequence[str]) -> Iterator[tuple[str, doc_blocks.Block]]:
    """Name and block of every block of commands that was asked for; a name without a number is a whole tutorial."""
    for name in names:
        tutorial, _, number = name.partition(":")
        page = doc_blocks.read(doc_blocks.ROOT / "docs" / "tutorials" / f"{Path(tutorial).stem}.md")
        blocks = [block for block in page.blocks if block.language == "sh"]
        for count, block in enumerate(blocks, start=1):
            if number in ("", str(count)):
                yield f"{tutorial}:{count}", block


def run(block: doc_blocks.Block, *, timeout_s: float) -> int:
    """The status that a block ends with; its first command that fails ends it."""
    command = ["bash", "-e", "-o", "pipefail", "-c", block.text]
    return subprocess.run(command, cwd=doc_blocks.ROOT, timeout=timeout_s, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
