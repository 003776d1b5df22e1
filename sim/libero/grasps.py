"""Where an open hand from above can grip an object: the rim of a bowl or the sides of a box, clear of everything else.

The choice is a function of the state: each candidate has a price, and what it lacks in free space is added to it. The
way that the hand would still have to go is part of the price, so that a hand between two equal grasps stays with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from magma_ros.sim.libero.convention import FINGERS_OPEN_M
from magma_ros.sim.libero.surroundings import GripPose, Surroundings
from magma_ros.types import FloatArray

HOME_YAW_RAD = np.pi / 2
"""Direction in which the fingers open when the arm is at rest; every grasp is within a quarter turn of it."""
MIN_RAYS = 2
"""Lines from pad to pad, of three, that must meet what is gripped."""
_SHOULDER_HEIGHT_M, _WRIST_OFFSET_M, _WRIST_HEIGHT_M = 0.333, 0.088, 0.204


@dataclass(frozen=True, slots=True)
class Thing:
    """What is to be gripped, in the robot's base frame.

    Attributes:
        points_m: Its corners, shape (n, 3) [m].
        axes: Its own axes as columns, shape (3, 3).
        is_bowl: It is gripped by its rim.
    """

    points_m: FloatArray
    axes: FloatArray
    is_bowl: bool


@dataclass(frozen=True, slots=True)
class GraspTuning:
    """What makes one grasp better than another; lengths [m], prices in no unit.

    Attributes:
        home_price, turn_price: Per radian from the hand's yaw at rest, and from its present one.
        distance_price: Per metre to go, seen from above.
        reach_m, reach_price: Shoulder to wrist beyond which the arm is nearly straight, and the price per metre.
        clearance_price: Per metre of missing clearance.
        ray_price: Per missing line from pad to pad.
        width_price: Per metre that a box is wider there than across its narrowest side.
        shift_price, shallow_price: Per metre off the middle of a box; per metre less deep than `depth_m`.
        depth_m: Point between the finger tips below the top of the thing.
        clearance_m, source_clearance_m: Wanted gap between the open hand and the world, and the thing itself.
        above_m: Height above the grasp at which gaps are measured: the hand comes down beside things, not onto them.
        rim_inset_m: Point between the finger tips inside a bowl's outer radius.
        num_rim_angles: Candidates around a bowl.
    """

    home_price: float = 0.3
    turn_price: float = 0.3
    distance_price: float = 0.6
    reach_m: float = 0.65
    reach_price: float = 40.0
    clearance_price: float = 300.0
    ray_price: float = 2.0
    width_price: float = 60.0
    shift_price: float = 12.0
    shallow_price: float = 15.0
    depth_m: float = 0.022
    clearance_m: float = 0.005
    above_m: float = 0.004
    source_clearance_m: float = 0.001
    rim_inset_m: float = 0.008
    num_rim_angles: int = 32


@dataclass(frozen=True, slots=True)
class _Offer:
    pose: GripPose
    price: float


def best_grasp(thing: Thing, hand: GripPose, room: Surroundings, tuning: GraspTuning) -> GripPose:
    """The cheapest grasp of `thing` for a hand at `hand`."""
    offers = _rim_grasps(thing, tuning) if thing.is_bowl else _box_grasps(thing, tuning)
    best, lowest = hand, np.inf
    for offer in sorted((_with_way(offer, hand, tuning) for offer in offers), key=lambda offer: offer.price):
        if offer.price >= lowest:
            break
        price = offer.price + _shortcoming(room, offer.pose, tuning, is_bowl=thing.is_bowl)
        if price < lowest:
            best, lowest = offer.pose, price
    return best


def _yaw_near_home(axis: FloatArray) -> float:
    """Direction of the line along `axis` as seen from above, within a quarter turn of home [rad]."""
    return float((np.arctan2(axis[1], axis[0]) - HOME_YAW_RAD + np.pi / 2) % np.pi + HOME_YAW_RAD - np.pi / 2)


def _with_way(offer: _Offer, hand: GripPose, tuning: GraspTuning) -> _Offer:
    yaw, (x, y, _) = offer.pose.yaw_rad, offer.pose.position_m - hand.position_m
    price = offer.price + tuning.home_price * abs(yaw - HOME_YAW_RAD) + tuning.turn_price * abs(yaw - hand.yaw_rad)
    beyond_m = max(0.0, _shoulder_to_wrist_m(offer.pose.position_m) - tuning.reach_m)
    return _Offer(offer.pose, float(price + tuning.distance_price * np.hypot(x, y) + tuning.reach_price * beyond_m))


def _shoulder_to_wrist_m(position_m: FloatArray) -> float:
    """With the tool pointing down; 0.72 m is a straight arm. Lengths from the Panda's kinematics (Franka, 2017)."""
    x, y, z = position_m
    return float(np.hypot(np.hypot(x, y) - _WRIST_OFFSET_M, z + _WRIST_HEIGHT_M - _SHOULDER_HEIGHT_M))


def _shortcoming(room: Surroundings, pose: GripPose, tuning: GraspTuning, *, is_bowl: bool) -> float:
    """Price of what the hand would run into, and of what of a box would not be between its pads."""
    above = GripPose(pose.position_m + np.array([0.0, 0.0, tuning.above_m]), pose.yaw_rad)
    source_gap_m, gap_m = room.clearance_m(above)
    missing_m = max(0.0, tuning.source_clearance_m - source_gap_m) + max(0.0, tuning.clearance_m - gap_m)
    missing_rays = 0 if is_bowl else max(0, MIN_RAYS - room.rays_through_source(pose))
    return tuning.clearance_price * missing_m + tuning.ray_price * missing_rays


def _rim_grasps(bowl: Thing, tuning: GraspTuning) -> Iterator[_Offer]:
    low, high = bowl.points_m.min(axis=0), bowl.points_m.max(axis=0)
    centre, radius = (low + high) / 2, float((high - low)[:2].mean()) / 2
    for angle in HOME_YAW_RAD + np.linspace(0.0, 2 * np.pi, tuning.num_rim_angles, endpoint=False):
        outward = np.array([np.cos(angle), np.sin(angle), 0.0])
        yaw = _yaw_near_home(outward)
        for inset, rise in ((0.0, 0.0), (0.006, 0.004), (0.012, 0.006)):
            position = centre + (radius - tuning.rim_inset_m - inset) * outward
            position[2] = high[2] - tuning.depth_m + rise
            yield _Offer(GripPose(position, yaw), tuning.shallow_price * (inset / 2 + rise))


def _box_grasps(box: Thing, tuning: GraspTuning) -> Iterator[_Offer]:
    low, high = box.points_m[:, 2].min(), box.points_m[:, 2].max()
    deepest = max(high - tuning.depth_m, (low + high) / 2 - 0.005)
    spans = {yaw: _span(box.points_m, _direction(yaw)) for yaw in sorted(_face_yaws(box.axes))}
    narrowest = min(largest - least for least, largest in spans.values())
    for yaw, across in spans.items():
        width = across[1] - across[0]
        price = tuning.width_price * (width - narrowest) + (10.0 if width > FINGERS_OPEN_M - 0.004 else 0.0)
        along = _span(box.points_m, _direction(yaw + np.pi / 2))
        middle = sum(across) / 2 * _direction(yaw) + sum(along) / 2 * _direction(yaw + np.pi / 2)
        slack = (along[1] - along[0]) / 2 - 0.012
        for shift in (0.0, 0.01, -0.01, 0.02, -0.02):
            if shift != 0.0 and abs(shift) > slack:
                continue
            for rise in (0.0, 0.006, 0.012):
                position = middle + shift * _direction(yaw + np.pi / 2) + np.array([0.0, 0.0, deepest + rise])
                yield _Offer(
                    GripPose(position, yaw), price + tuning.shift_price * abs(shift) + tuning.shallow_price * rise
                )


def _face_yaws(axes: FloatArray) -> set[float]:
    """Across the faces of a box that stand, and the hand's yaw at rest for what is round."""
    return {HOME_YAW_RAD, *(_yaw_near_home(axis) for axis in axes.T if np.hypot(axis[0], axis[1]) > 0.7)}


def _direction(yaw_rad: float) -> FloatArray:
    return np.array([np.cos(yaw_rad), np.sin(yaw_rad), 0.0])


def _span(points_m: FloatArray, direction: FloatArray) -> tuple[float, float]:
    along = points_m @ direction
    return float(along.min()), float(along.max())
