"""Solids, hulls, skins and colours, as MuJoCo reads them."""

from __future__ import annotations

import colorsys

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magma_ros.sim.bridge.shapes import Hull, Palette, Skin, Solid
from magma_ros.sim.bridge.textures import weave_file

ANGLES = '<compiler angle="radian"/><default><default class="look"/></default>'


def compiled(assets: str = "", geoms: str = "", files: dict[str, bytes] | None = None) -> mujoco.MjModel:
    text = f"<mujoco>{ANGLES}<asset>{assets}</asset><worldbody>{geoms}</worldbody></mujoco>"
    return mujoco.MjModel.from_xml_string(text, assets=files or {})


def test_a_solid_is_where_it_says() -> None:
    """Half sizes and offset in metres, turned about z; seen it is the same box, in its material."""
    solid = Solid((0.01, 0.02, 0.03), (0.1, -0.2, 0.3), yaw_rad=np.pi / 2)
    paint = Skin("paint", (1.0, 0.0, 0.0), specular=0.0).mjcf()
    model = compiled(paint, f"<geom {solid.place}/>{solid.look('paint')}")
    for geom in (0, 1):
        np.testing.assert_allclose(model.geom_size[geom], [0.01, 0.02, 0.03])
        np.testing.assert_allclose(model.geom_pos[geom], [0.1, -0.2, 0.3])
        np.testing.assert_allclose(np.abs(model.geom_quat[geom]), [0.5**0.5, 0, 0, 0.5**0.5], atol=1e-9)
    assert [model.geom_matid[geom] for geom in (0, 1)] == [-1, 0]


def test_a_solid_is_upright_in_the_middle_by_default() -> None:
    """It weighs 100 g."""
    plain = Solid((0.01, 0.02, 0.03))
    assert (plain.offset_m, plain.yaw_rad, plain.mass_kg) == ((0.0, 0.0, 0.0), 0.0, 0.1)


def test_a_hull_is_a_mesh_of_its_rings() -> None:
    """Twelve corners each, to a micrometre, at the shares of the half sizes that the sections give."""
    hull = Hull("cone", (0.1, 0.02, 0.04), ((-1.0, 1.0), (0.5, 0.25)))
    text = hull.mjcf()
    numbers = np.array(text.partition('vertex="')[2].rstrip('"/>').split(), float).reshape(-1, 3)
    assert text.startswith('<mesh name="cone" vertex="-0.100000 0.020000 ')
    assert numbers.shape == (24, 3)
    np.testing.assert_allclose(np.unique(numbers[:, 0]), [-0.1, 0.05])
    np.testing.assert_allclose(numbers[:12].max(axis=0)[1:], [0.02, 0.04], atol=1e-6)
    np.testing.assert_allclose(numbers[12:].max(axis=0)[1:], [0.005, 0.01], atol=1e-6)
    assert compiled(text, '<geom type="mesh" mesh="cone"/>').nmesh == 1


def test_a_plain_skin_has_no_texture() -> None:
    """Its colour is opaque; gloss is as given."""
    model = compiled(Skin("paint", (0.25, 0.5, 1.0), specular=0.125, shininess=0.75).mjcf())
    np.testing.assert_allclose(model.mat_rgba[0], [0.25, 0.5, 1.0, 1.0])
    assert (model.mat_specular[0], model.mat_shininess[0], model.ntex) == (0.125, 0.75, 0)
    assert Skin("paint", (0.0, 0.0, 0.0), specular=0.0).shininess == 0.5


@pytest.mark.parametrize("weave", ["striped", "lattice", "speckled"])
def test_a_woven_skin_has_the_texture_of_its_weave(weave) -> None:
    """A picture that there is, under a name of its own, so that two things may have one weave."""
    skins = [Skin(name, (0.25, 0.5, 1.0), specular=0.125, weave=weave) for name in ("one", "two")]
    assert {skin.file for skin in skins} == {f"weave_{weave}.png"}
    model = compiled("".join(skin.mjcf() for skin in skins), files={skins[0].file: weave_file(weave)})
    assert [model.tex(index).name for index in range(model.ntex)] == ["weave_one", "weave_two"]
    assert [model.mat(index).name for index in range(model.nmat)] == ["one", "two"]
    np.testing.assert_allclose(model.mat_rgba[0], [0.25, 0.5, 1.0, 1.0])
    assert model.mat_specular[0] == 0.125


@settings(max_examples=30, deadline=None)
@given(
    spans=st.tuples(*[st.tuples(st.floats(0.0, 0.9), st.floats(0.0, 0.09))] * 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_drawn_colour_is_within_its_palette(spans, seed) -> None:
    """In hue, saturation and value, and the same from the same seed."""
    hue, saturation, value = ((low, low + width) for low, width in spans)
    palette = Palette(hue, saturation, value)
    rgb = palette.draw(np.random.default_rng(seed))
    assert rgb == palette.draw(np.random.default_rng(seed))
    found = colorsys.rgb_to_hsv(*rgb)
    assert value[0] - 1e-9 <= found[2] <= value[1] + 1e-9
    if found[2] > 1e-6:
        assert saturation[0] - 1e-6 <= found[1] <= saturation[1] + 1e-6
        if found[1] > 1e-6:
            assert hue[0] - 1e-6 <= found[0] <= hue[1] + 1e-6


def test_without_a_range_a_colour_may_be_any_that_is_not_dark() -> None:
    """All hues and saturations come up; the value is at least 0.3."""
    generator = np.random.default_rng(0)
    drawn = np.array([colorsys.rgb_to_hsv(*Palette().draw(generator)) for _ in range(300)])
    np.testing.assert_allclose(drawn.min(axis=0), [0.0, 0.0, 0.3], atol=0.05)
    np.testing.assert_allclose(drawn.max(axis=0), [1.0, 1.0, 1.0], atol=0.05)
    assert drawn[:, 2].min() >= 0.3
