"""The four WidowX tasks of SimplerEnv as data; sentences and step budgets are in the suite "bridge"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from magma_ros.errors import EnvError
from magma_ros.sim.bridge.layouts import InBowl, OnSquare, Placement
from magma_ros.sim.bridge.stages import SINK, TABLE, Stage
from magma_ros.sim.bridge.success import SuccessRule
from magma_ros.sim.bridge.things import Thing, basket, block, carrot, eggplant, plate, spoon, towel
from magma_ros.sim.suites import BRIDGE


@dataclass(frozen=True, slots=True)
class BridgeTask:
    """One task.

    Attributes:
        name: As in the suite.
        upstream: SimplerEnv's name of it.
        stage: Where it takes place.
        source, target: What is to be put where.
        placement: Where the two begin.
        rule: When it counts as done.
        other_sources: Things of another shape that the instruction calls by the same name, by their own names.
    """

    name: str
    upstream: str
    stage: Stage
    source: Thing
    target: Thing
    placement: Placement
    rule: SuccessRule
    other_sources: Mapping[str, Thing]

    @property
    def instruction(self) -> str:
        """SimplerEnv's sentence."""
        return BRIDGE.task(self.name).instruction

    @property
    def step_budget(self) -> int:
        """Control steps of a trial."""
        return BRIDGE.task(self.name).step_budget


CARROT_ON_PLATE = BridgeTask(
    name="carrot_on_plate",
    upstream="PutCarrotOnPlateInScene",
    stage=TABLE,
    source=carrot(),
    target=plate(),
    placement=OnSquare(
        half_edges_m=(0.075,),
        yaws_rad=(math.pi, -math.pi / 2),
        yaw_range_rad=(-math.pi, -math.pi / 2),
        source_half_m=(0.0575, 0.016),
        target_radius_m=0.055,
        min_distance_m=0.09,
    ),
    rule=SuccessRule(completely=True),
    other_sources=MappingProxyType(
        {"short carrot": carrot((0.040, 0.018, 0.020)), "thin carrot": carrot((0.0575, 0.0115, 0.0125))}
    ),
)
SPOON_ON_TOWEL = BridgeTask(
    name="spoon_on_towel",
    upstream="PutSpoonOnTableClothInScene",
    stage=TABLE,
    source=spoon(),
    target=towel(),
    placement=OnSquare(
        half_edges_m=(0.075,),
        yaws_rad=(0.0, math.pi / 2),
        yaw_range_rad=(0.0, math.pi / 2),
        source_half_m=(0.07, 0.0173),
        target_radius_m=0.05 * math.sqrt(2.0),
        min_distance_m=0.09,
    ),
    rule=SuccessRule(completely=False),
    other_sources=MappingProxyType(
        {
            "short spoon": spoon(half_length_m=0.058, bowl_half_m=(0.019, 0.0165)),
            "ladle": spoon(half_length_m=0.07, bowl_half_m=(0.021, 0.0205)),
        }
    ),
)
STACK_CUBE = BridgeTask(
    name="stack_cube",
    upstream="StackGreenCubeOnYellowCubeBakedTexInScene",
    stage=TABLE,
    source=block("green"),
    target=block("yellow"),
    placement=OnSquare(
        half_edges_m=(0.05, 0.1),
        yaws_rad=(0.0,),
        yaw_range_rad=(0.0, 0.0),
        source_half_m=(0.015, 0.015),
        target_radius_m=0.015 * math.sqrt(2.0),
        min_distance_m=0.08,
    ),
    rule=SuccessRule(completely=True),
    other_sources=MappingProxyType(
        {
            "small block": block("green", half_size_m=(0.012, 0.012, 0.012)),
            "tall block": block("green", half_size_m=(0.015, 0.015, 0.022)),
            "long block": block("green", half_size_m=(0.026, 0.013, 0.013)),
        }
    ),
)
EGGPLANT_IN_BASKET = BridgeTask(
    name="eggplant_in_basket",
    upstream="PutEggplantInBasketScene",
    stage=SINK,
    source=eggplant(),
    target=basket(),
    placement=InBowl(
        centre_m=(-0.105, 0.206),
        half_span_m=(0.01, 0.015),
        grid=(2, 4),
        yaws_rad=(0.0, math.pi / 4, -math.pi / 4),
        target_xy_m=(-0.125, 0.025),
    ),
    rule=SuccessRule(completely=False, z_slack_m=0.06),
    other_sources=MappingProxyType(
        {"round eggplant": eggplant((0.033, 0.0225, 0.0225)), "thin eggplant": eggplant((0.039, 0.0145, 0.015))}
    ),
)
TASKS: Mapping[str, BridgeTask] = MappingProxyType(
    {task.name: task for task in (CARROT_ON_PLATE, SPOON_ON_TOWEL, STACK_CUBE, EGGPLANT_IN_BASKET)}
)


def find_task(name: str) -> BridgeTask:
    """The task called `name`.

    Raises:
        EnvError: there is none.
    """
    if name not in TASKS:
        raise EnvError(f"task: expected one of {sorted(TASKS)}, got {name!r}")
    return TASKS[name]
