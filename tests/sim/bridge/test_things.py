"""Every thing of the scenes: its touch, look and grip fit each other and SimplerEnv's sizes."""

from __future__ import annotations

import colorsys
import re

import mujoco
import numpy as np
import pytest

from magma_ros.sim.bridge.textures import weave_file
from magma_ros.sim.bridge.things import Thing, basket, block, carrot, eggplant, plate, spoon, towel

THINGS = {
    thing.name: thing
    for thing in (carrot(), plate(), spoon(), towel(), block("green"), block("yellow"), eggplant(), basket())
}
LOOSE = [name for name, thing in THINGS.items() if not thing.fixed]
HELD = [name for name, thing in THINGS.items() if thing.grip is not None]


def compiled(thing: Thing) -> mujoco.MjModel:
    """One body, as the scenes build it: solids that are touched, and then what is seen."""
    files = {skin.file: weave_file(skin.weave) for skin in thing.skins if skin.weave != "plain"}
    assets = "".join(part.mjcf() for part in (*thing.skins, *thing.hulls))
    solids = "".join(f'<geom {solid.place} mass="{solid.mass_kg}"/>' for solid in thing.solids)
    looks = '<default><default class="look"><geom contype="0" conaffinity="0" mass="0"/></default></default>'
    text = (
        f'<mujoco><compiler angle="radian"/>{looks}<asset>{assets}</asset>'
        f"<worldbody><body><freejoint/>{solids}{thing.seen}</body></worldbody></mujoco>"
    )
    return mujoco.MjModel.from_xml_string(text, assets=files)


def extent(model: mujoco.MjModel, geoms: range) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner of these geoms [m]."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    rotations = data.geom_xmat[geoms].reshape(-1, 3, 3)
    middle = data.geom_xpos[geoms] + np.einsum("nij,nj->ni", rotations, model.geom_aabb[geoms, :3])
    half = np.einsum("nij,nj->ni", np.abs(rotations), model.geom_aabb[geoms, 3:])
    return (middle - half).min(axis=0), (middle + half).max(axis=0)


@pytest.mark.parametrize(
    ("name", "half_size_m"),
    [
        ("carrot", (0.0575, 0.016, 0.019)),
        ("plate", (0.055, 0.055, 0.003)),
        ("spoon", (0.07, 0.0173, 0.013)),
        ("towel", (0.05, 0.05, 0.005)),
        ("green_block", (0.015, 0.015, 0.015)),
        ("yellow_block", (0.015, 0.015, 0.015)),
        ("eggplant", (0.03915, 0.0187, 0.019)),
        ("basket", (0.065, 0.04, 0.001)),
    ],
)
def test_boxes_are_those_of_the_rules(name, half_size_m) -> None:
    """The half sizes that success is judged by are SimplerEnv's; a change of them changes the benchmark."""
    assert THINGS[name].half_size_m == half_size_m


@pytest.mark.parametrize("name", LOOSE)
def test_what_is_touched_stands_on_the_box_of_the_rules(name) -> None:
    """It begins at the box's lowest side, so that a thing at rest has its frame where the rules expect it."""
    thing = THINGS[name]
    low, high = extent(compiled(thing), range(len(thing.solids)))
    assert low[2] == pytest.approx(-thing.half_size_m[2], abs=1e-9)
    assert high[2] <= thing.half_size_m[2] + 1e-9


@pytest.mark.parametrize("name", [name for name in LOOSE if name != "plate"])
def test_what_is_touched_is_within_the_box_of_the_rules(name) -> None:
    """Lengthwise and across, so that nothing is touched where nothing is."""
    thing = THINGS[name]
    low, high = extent(compiled(thing), range(len(thing.solids)))
    assert (low >= -np.array(thing.half_size_m) - 1e-9).all()
    assert (high <= np.array(thing.half_size_m) + 1e-9).all()


def test_a_plate_is_touched_as_a_star_of_its_area() -> None:
    """Two squares, one turned by 45 degrees: 95 square centimetres as the disc, points 9 mm beyond the rim."""
    first, second = plate().solids
    half_m, _, _ = first.half_size_m
    assert first.half_size_m == second.half_size_m == (half_m, half_m, 0.003)
    assert (first.yaw_rad, second.yaw_rad) == (0.0, pytest.approx(np.pi / 4))
    octagon_m2 = 8 * half_m**2 * (2**0.5 - 1)
    assert 2 * (2 * half_m) ** 2 - octagon_m2 == pytest.approx(0.0095, abs=5e-5)
    assert half_m * 2**0.5 - 0.055 == pytest.approx(0.009, abs=5e-4)


@pytest.mark.parametrize("name", THINGS)
def test_what_is_seen_has_materials_and_meshes_of_its_own(name) -> None:
    """Each is defined, and none is defined for nothing."""
    thing = THINGS[name]
    assert set(re.findall(r'material="(\w+)"', thing.seen)) == {skin.name for skin in thing.skins}
    assert set(re.findall(r'mesh="(\w+)"', thing.seen)) == {hull.name for hull in thing.hulls}


@pytest.mark.parametrize("name", [name for name in LOOSE if name not in ("carrot", "eggplant")])
def test_what_is_seen_is_where_it_is_touched(name) -> None:
    """Within 2.5 mm below and above, and as long and wide as the box of the rules."""
    thing = THINGS[name]
    model = compiled(thing)
    touched, seen = (
        extent(model, geoms) for geoms in (range(len(thing.solids)), range(len(thing.solids), model.ngeom))
    )
    assert abs(touched[0][2] - seen[0][2]) < 2.5e-3
    assert abs(touched[1][2] - seen[1][2]) < 2.5e-3
    np.testing.assert_allclose((seen[1] - seen[0])[:2] / 2, thing.half_size_m[:2], atol=1e-3)


@pytest.mark.parametrize(("name", "stalk_m"), [("carrot", (-0.022, 0.0)), ("eggplant", (0.0, 0.013))])
def test_only_what_is_green_sticks_out(name, stalk_m) -> None:
    """The root and the fruit fill the box of the rules; leaves go beyond its thick end, a stalk beyond the thin one."""
    thing = THINGS[name]
    model, first = compiled(thing), len(thing.solids)
    low, high = extent(model, range(first, first + 1))
    np.testing.assert_allclose(low, -np.array(thing.half_size_m), atol=1e-5)
    np.testing.assert_allclose(high, thing.half_size_m, atol=1e-5)
    low, high = extent(model, range(first, model.ngeom))
    expected = [-thing.half_size_m[0] + stalk_m[0], thing.half_size_m[0] + stalk_m[1]]
    np.testing.assert_allclose([low[0], high[0]], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "mass_kg"),
    [
        ("carrot", 0.055),
        ("plate", 0.05702),
        ("spoon", 0.03),
        ("towel", 0.033),
        ("green_block", 0.027),
        ("yellow_block", 0.027),
        ("eggplant", 0.023),
    ],
)
def test_things_weigh_what_they_would(name, mass_kg) -> None:
    """Blocks of 3 cm and the plate, a disc of 11 cm by 6 mm, at a gram per cubic centimetre; vegetables less."""
    assert compiled(THINGS[name]).body_mass[1] == pytest.approx(mass_kg, rel=1e-4)


@pytest.mark.parametrize("name", HELD)
def test_fingers_find_something_wherever_they_may_hold(name) -> None:
    """Across each end of the grip's stretch and its middle a solid is as wide as the grip says, about its centre."""
    thing = THINGS[name]
    for along in (-thing.grip.half_length_m, 0.0, thing.grip.half_length_m):
        x, y, z = np.add(thing.grip.centre_m, (along, 0.0, 0.0))
        across = [
            2 * solid.half_size_m[1]
            for solid in thing.solids
            if abs(x - solid.offset_m[0]) <= solid.half_size_m[0] and abs(z - solid.offset_m[2]) <= solid.half_size_m[2]
        ]
        assert thing.grip.width_m in [pytest.approx(width, abs=2e-3) for width in across]
        assert y == 0.0
    assert thing.grip.width_m < 0.05


def test_only_blocks_may_be_held_either_way() -> None:
    """And only those that are square; plate, towel and basket are not meant to be held."""
    assert {name for name in HELD if THINGS[name].grip.square} == {"green_block", "yellow_block"}
    assert not block("green", half_size_m=(0.02, 0.015, 0.015)).grip.square
    assert set(THINGS) - set(HELD) == {"plate", "towel", "basket"}
    assert set(THINGS) - set(LOOSE) == {"basket"}


@pytest.mark.parametrize("name", THINGS)
def test_the_usual_colour_is_one_that_it_may_have(name) -> None:
    """The first skin is of the palette: what may be drawn includes what it looks like by default."""
    thing = THINGS[name]
    ranges = (thing.palette.hue, thing.palette.saturation, thing.palette.value)
    for found, (low, high) in zip(colorsys.rgb_to_hsv(*thing.skins[0].rgb), ranges, strict=True):
        assert low - 0.01 <= found <= high + 0.01


def test_a_basket_has_a_floor_and_four_walls() -> None:
    """14 by 11 cm inside, the walls 5 cm above the floor's top, around a middle 1.5 cm behind its frame."""
    floor, *walls = basket().solids
    assert len(walls) == 4
    inner = [(w.offset_m[0] - floor.offset_m[0], w.offset_m[1] - floor.offset_m[1]) for w in walls]
    np.testing.assert_allclose([abs(x) - w.half_size_m[0] for (x, _), w in zip(inner[:2], walls, strict=False)], 0.07)
    np.testing.assert_allclose(
        [abs(y) - w.half_size_m[1] for (_, y), w in zip(inner[2:], walls[2:], strict=True)], 0.055
    )
    top_m = floor.offset_m[2] + floor.half_size_m[2]
    assert top_m == pytest.approx(-0.001)
    np.testing.assert_allclose([w.offset_m[2] + w.half_size_m[2] - top_m for w in walls], 0.052)
    np.testing.assert_allclose(floor.offset_m[:2], (-0.015, 0.005))


@pytest.mark.parametrize("make", [carrot, eggplant])
def test_other_sizes_change_everything_in_proportion(make) -> None:
    """A vegetable twice as large has solids, hull and grip twice as large."""
    small = make()
    large = make(tuple(2 * half for half in small.half_size_m))
    for one, two in zip(small.solids, large.solids, strict=True):
        np.testing.assert_allclose(two.half_size_m, 2 * np.array(one.half_size_m))
        np.testing.assert_allclose(two.offset_m, 2 * np.array(one.offset_m))
    assert large.hulls[0].half_size_m == large.half_size_m
    assert large.grip.width_m == pytest.approx(2 * small.grip.width_m)
    assert large.grip.half_length_m == pytest.approx(2 * small.grip.half_length_m)


def test_a_spoon_of_another_length_is_that_long() -> None:
    """From the handle's end to the bowl's, on either side of its frame."""
    thing = spoon(half_length_m=0.09, bowl_half_m=(0.02, 0.015))
    low, high = extent(compiled(thing), range(len(thing.solids), len(thing.solids) + 2))
    np.testing.assert_allclose([low[0], high[0]], [-0.09, 0.09], atol=1e-5)
    assert thing.half_size_m == (0.09, 0.015, 0.013)
