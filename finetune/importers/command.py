"""What `magma-ros data import` does: demonstrations of others in, a dataset of ours out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import tyro

from magma_ros import arms, embodiments
from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers import mapping as mappings
from magma_ros.finetune.importers.conventions import SETTLED_BY
from magma_ros.finetune.importers.exported_hdf5 import ExportedHdf5
from magma_ros.finetune.importers.foreign import ForeignEpisodes
from magma_ros.finetune.importers.importing import import_episodes
from magma_ros.finetune.importers.lerobot import LeRobotEpisodes
from magma_ros.finetune.importers.libero_hdf5 import LiberoHdf5
from magma_ros.finetune.importers.mapped import Demonstrations, MappedEpisodes
from magma_ros.finetune.importers.mapping import FeatureMap
from magma_ros.finetune.importers.rlds import RldsEpisodes
from magma_ros.finetune.progress import progress_bar
from magma_ros.wording import counted

Format = Literal["mcap", "hdf5", "exported-hdf5", "lerobot", "rlds"]

_MAPPED = frozenset(["mapping", "instruction", "action_rows_late", "camera_lag_rows"])
_BAGS = frozenset(["arm", "contract", "actions", "namespace", "outcome", "instruction", "camera_lag_s"])
_USED: Mapping[Format, frozenset[str]] = MappingProxyType(
    {
        "mcap": _BAGS,
        "hdf5": _MAPPED,
        "exported-hdf5": frozenset(),
        "lerobot": _MAPPED,
        "rlds": _MAPPED | {"split"},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the source is read.

    Attributes:
        arm: MCAP: name or file of the arm that was recorded; maps the topics.
        contract: MCAP: name or file of the embodiment whose actions were recorded; by default what the bag says.
        actions: MCAP: what moved the arm, what the policy wanted, or the measured displacement (other stacks' bags).
        namespace: MCAP: of the recorded topics.
        outcome: MCAP: whether the task was done, where nobody recorded it.
        camera_lag_s: MCAP: how long after its capture a picture is stamped [s].
        mapping: HDF5, LeRobot, RLDS: name or file of the mapping.
        split: RLDS: which of the dataset's splits.
        instruction: For episodes without one; of a bag, instead of the recorded one.
        action_rows_late: Instead of the mapping's.
        camera_lag_rows: Instead of the mapping's.
    """

    arm: str = "sim"
    contract: str = ""
    actions: Literal["commanded", "policy", "measured"] = "commanded"
    namespace: str = ""
    outcome: Literal["recorded", "success", "failure"] = "recorded"
    camera_lag_s: float = 0.0
    mapping: str = ""
    split: str = "train"
    instruction: str = ""
    action_rows_late: int | None = None
    camera_lag_rows: int | None = None


def import_data(
    form: tyro.conf.Positional[Format],
    source: tyro.conf.Positional[tuple[Path, ...]],
    *,
    output: Path,
    reading: Annotated[Reading, tyro.conf.arg(name="")] = Reading(),
    pictures: Literal["png", "video"] = "png",
    accept: tuple[str, ...] = (),
    skip_unusable: bool = False,
) -> None:
    """Bring demonstrations of another format into a dataset, once their conventions are out of doubt.

    Args:
        form: What the source is; exported-hdf5 is what `data export` wrote, hdf5 what LIBERO did.
        source: Files or folders; one folder for LeRobot and RLDS.
        output: Dataset folder; an import that was stopped is gone on with.
        reading: How the source is read.
        pictures: png keeps every pixel, video a seventh of the space.
        accept: Codes of doubts that are right as they are.
        skip_unusable: Leave out episodes without an instruction or with fewer than two steps.
    """
    demonstrations = open_source(form, source, reading)
    settled = tuple(SETTLED_BY) if form == "exported-hdf5" else accept  # what we wrote is in our conventions
    with progress_bar(len(demonstrations)) as tell:
        report = import_episodes(
            demonstrations,
            output,
            pictures=pictures,
            accept=settled,
            skip_unusable=skip_unusable,
            on_episode=tell,
        )
    for reason, count in report.unusable.items():
        print(f"left out: {counted(count, 'episode')}, each because {reason}")
    print(
        f"{counted(report.num_episodes, 'episode')}, {counted(report.num_steps, 'step')} "
        f"of {demonstrations.contract.embodiment}, dataset {output}",
        flush=True,
    )


def open_source(form: Format, paths: Sequence[Path], reading: Reading) -> Demonstrations:
    """The episodes in `paths`.

    Raises:
        MagmaRosError: they can't be opened, or an option is missing or makes no sense for this format.
    """
    _require_used(form, reading)
    if form == "mcap":
        return _bags(paths, reading)
    if form == "exported-hdf5":
        return ExportedHdf5(paths)
    if not reading.mapping:
        raise ImportDataError(f"mapping: expected a YAML file or one of {mappings.available()} for {form}, got none")
    chosen = {key: getattr(reading, key) for key in ("action_rows_late", "camera_lag_rows")}
    mapping = replace(mappings.load(reading.mapping), **{key: rows for key, rows in chosen.items() if rows is not None})
    return MappedEpisodes(_foreign(form, paths, mapping, reading), mapping, instruction=reading.instruction)


def _require_used(form: Format, reading: Reading) -> None:
    """Refuse options that would change nothing."""
    idle = [f.name for f in fields(Reading) if f.name not in _USED[form] and getattr(reading, f.name) != f.default]
    if idle:
        raise ImportDataError(f"{form} has no use for the options {idle}, it takes {sorted(_USED[form])}")


def _foreign(form: Format, paths: Sequence[Path], mapping: FeatureMap, reading: Reading) -> ForeignEpisodes:
    if form == "hdf5":
        turned = {camera.rotate_180 for camera in mapping.contract.cameras}
        if len(turned) != 1:
            raise ImportDataError(
                "rotate_180: expected the same for every camera of the contract, LIBERO has one for all"
            )
        return LiberoHdf5(paths, upside_down=turned.pop())
    if len(paths) != 1:
        raise ImportDataError(f"source: expected one folder for {form}, got {len(paths)}")
    if form == "lerobot":
        return LeRobotEpisodes(paths[0])
    return RldsEpisodes(paths[0], instruction=mapping.instruction, split=reading.split)


def _bags(paths: Sequence[Path], reading: Reading) -> Demonstrations:
    from magma_ros.finetune.importers.bag import BagEpisodes, BagOptions  # noqa: PLC0415 - ROS need not be installed

    options = BagOptions(**{field.name: getattr(reading, field.name) for field in fields(BagOptions)})
    contract = embodiments.load(reading.contract).contract if reading.contract else None
    return BagEpisodes(paths, arms.load(reading.arm), contract=contract, options=options)
