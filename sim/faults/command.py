"""What `magma-ros faults` does: options in, a line for each fault out, and an exit status that a script can use."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from magma_ros import exit_codes
from magma_ros.errors import EnvError
from magma_ros.json_files import write_object
from magma_ros.sim.faults import report
from magma_ros.sim.faults.catalogue import BY_NAME, FAULTS
from magma_ros.sim.faults.graph import environment
from magma_ros.sim.faults.suite import run
from magma_ros.sim.provenance import provenance


def inject_faults(
    *,
    only: tuple[str, ...] = (),
    list: bool = False,  # noqa: A002 - the flag's name
    repeat: int = 1,
    slack_s: float = 0.0,
    json: Path | None = None,
    markdown: bool = False,
    output: Path | None = None,
) -> int:
    """Break a graph of stand-ins in every way there is, and time how long its arm is still told to move.

    Args:
        only: Names of faults; all by default.
        list: Print the faults and inject none.
        repeat: How often each is injected.
        slack_s: Added to every limit [s], for a machine that others use too; everything else is judged as ever.
        json: File for every measurement, commit, versions and machine.
        markdown: Print the table of docs/safety.md too.
        output: Folder for the processes' logs; by default one that is deleted in the end.

    Returns:
        0 when everything passed, 1 otherwise.
    """
    unknown = sorted(set(only) - set(BY_NAME))
    if unknown or repeat < 1:
        raise EnvError(f"faults: expected some of {', '.join(BY_NAME)}, at least once, got {unknown} {repeat} times")
    chosen = [BY_NAME[name] for name in only] or [*FAULTS]
    if list:
        print("\n".join(f"{fault.name:<26}{fault.what}" for fault in chosen))
        return exit_codes.OK
    os.environ.update(environment())
    begin_s, measurements = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="magma_ros_faults_") as temporary:
        for number in range(repeat):
            for measurement in run(chosen, folder=(output or Path(temporary)) / str(number), slack_s=slack_s):
                measurements.append(measurement)
                print(report.line(measurement), flush=True)
    if json is not None:
        wall_s = round(time.monotonic() - begin_s, 1)
        document = {**report.to_dict(measurements), "wall_s": wall_s, **provenance(device="cpu")}
        write_object(json, document)
    if markdown:
        print(report.markdown(measurements))
    print(report.verdict(measurements))
    return exit_codes.OK if all(measurement.passed for measurement in measurements) else exit_codes.FAILED
