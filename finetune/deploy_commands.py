"""What `magma-ros ladder` and `magma-ros promote` do: options in, a table or two lines out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from magma_ros import exit_codes
from magma_ros.checkpoint import describe_runtime
from magma_ros.errors import PromotionError
from magma_ros.finetune import ladder, model_card, promotion, rungs, sweep_rung
from magma_ros.finetune.ladder import RUNGS, Ladder, Rung, RungName
from magma_ros.finetune.rungs import NETWORK_RUNGS, LadderOptions
from magma_ros.load_options import LoadOptions
from magma_ros.sources import find

_WIDTH = 118
_SWAP_CALL = 'ros2 service call swap_policy magma_ros/srv/SwapPolicy "{{checkpoint: {}}}"'


def climb_ladder(
    checkpoint: Annotated[str, tyro.conf.Positional],
    *,
    data: Path | None = None,
    sweep: tuple[Path, ...] = (),
    only: tuple[RungName, ...] = RUNGS,
    options: Annotated[LadderOptions, tyro.conf.arg(name="")] = LadderOptions(),  # noqa: B008 - frozen
    load: Annotated[LoadOptions, tyro.conf.arg(name="")] = LoadOptions(),  # noqa: B008 - frozen
) -> int:
    """Try a checkpoint on every rung that it has to take before a robot; keeps the result in its folder.

    Rungs that were passed before count on, as long as the checkpoint has not changed.

    Args:
        checkpoint: Folder, name or hub id of the checkpoint.
        data: Folder of episodes, best those that it was trained on: its manifest says which of them were held out.
        sweep: Folders of `magma-ros eval --output`, whose policy was this checkpoint.
        only: Try these rungs alone.
        options: What is asked of it.
        load: How it is brought up.

    Returns:
        0, or 1 when a rung was failed or not tried.
    """
    if data is None and only != RUNGS and set(only) & set(NETWORK_RUNGS) - {"gate"}:
        raise PromotionError(f"expected --data for {list(only)}, got none")
    _require_used(data, sweep, only)
    folder = find(checkpoint)
    how = {"device": load.device, "dtype": load.dtype, "quantization": load.quantization}
    climbed = ladder.begin(folder, runtime=describe_runtime(**how))
    if sweep:
        identity = {"checkpoint": climbed.checkpoint, "fingerprint": climbed.fingerprint}
        judged = sweep_rung.judge(sweep, **identity, min_success=options.min_success)
        climbed = _keep(folder, climbed, judged)
    wanted = tuple(name for name in only if name == "gate" or (name in NETWORK_RUNGS and data is not None))
    if wanted:
        with Console(stderr=True).status(f"trying {', '.join(wanted)}"):
            for rung in rungs.try_network(folder, data or Path(), options, load, wanted=wanted):
                climbed = _keep(folder, climbed, rung)
    ladder.write(folder, climbed)
    model_card.write(folder)
    show(climbed, Console(width=_WIDTH, highlight=False, markup=False))
    return exit_codes.FAILED if climbed.missing else exit_codes.OK


def promote_checkpoint(
    checkpoint: Annotated[str | None, tyro.conf.Positional] = None,
    *,
    to: Path,
    rollback: bool = False,
    waive: tuple[RungName, ...] = (),
) -> None:
    """Make a checkpoint that passed its ladder the current one of a folder, or go back to the one before.

    Args:
        checkpoint: Folder, name or hub id of the checkpoint.
        to: Folder of promoted checkpoints; nodes load TO/current.
        rollback: Make the previous checkpoint current again.
        waive: Rungs that it may lack, such as simulator for an arm that is not simulated.
    """
    if rollback == (checkpoint is not None):
        raise PromotionError("expected a checkpoint or --rollback, got both or neither")
    with Console(stderr=True).status("copying and comparing"):
        done = promotion.roll_back(to) if checkpoint is None else promotion.promote(checkpoint, to, waived=waive)
    print(f"current {done.current}, previous {done.previous or 'none'}" + "".join(f", {r} waived" for r in done.waived))
    print(f"a running node takes it with: {_SWAP_CALL.format((to / promotion.CURRENT).absolute())}")


def _require_used(data: Path | None, sweep: tuple[Path, ...], only: tuple[RungName, ...]) -> None:
    """Refuse options that none of the rungs `only` would look at."""
    if sweep and "simulator" not in only:
        raise PromotionError(f"{list(only)} have no use for --sweep, which is for the rung simulator")
    if data is not None and not set(only) & set(NETWORK_RUNGS) - {"gate"}:
        raise PromotionError(f"{list(only)} have no use for --data, which is for the rungs overfit to train_serve")


def _keep(folder: Path, climbed: Ladder, rung: Rung) -> Ladder:
    """`climbed` with `rung`, on the disk: what a later rung ends in takes nothing away."""
    climbed = ladder.with_rungs(climbed, [rung])
    ladder.write(folder, climbed)
    return climbed


def show(climbed: Ladder, console: Console) -> None:
    """Print every rung and what was found out."""
    table = Table(title=f"checkpoint {climbed.checkpoint[:12]}…, fingerprint {climbed.fingerprint[:12]}…")
    for heading in ("rung", "outcome", "what was found out"):
        table.add_column(heading, overflow="fold")
    for rung in climbed.rungs:
        table.add_row(rung.name, rung.outcome.replace("_", " "), rung.detail)
    console.print(table)
    left = ", ".join(rung.name for rung in climbed.missing)
    console.print(f"missing: {left}" if left else "every rung was passed; next: the robot, slowly (docs/bringup.md)")
