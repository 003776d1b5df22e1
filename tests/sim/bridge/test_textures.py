"""Painted pictures: their colour, their pattern, and that nobody sees where they begin anew."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magma_ros.sim.bridge.textures import SIZE_PX, SURFACES, Surface, weave_file

RGB = (0.5, 0.4, 0.25)
WEAVES = ["striped", "lattice", "speckled"]


def weave(kind: str) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(weave_file(kind), np.uint8), cv2.IMREAD_COLOR).astype(int)


@pytest.mark.parametrize("kind", SURFACES)
def test_a_surface_is_a_value_of_its_seed(kind) -> None:
    """The same picture each time, 256 pixels square; another from another seed, but for checks, which come in two."""
    first = Surface(kind, RGB, 3).picture()
    assert (first.shape, first.dtype) == ((256, 256, 3), np.uint8)
    np.testing.assert_array_equal(first, Surface(kind, RGB, 3).picture())
    others = {Surface(kind, RGB, seed).picture().tobytes() for seed in range(4)}
    assert len(others) == (2 if kind == "checks" else 4)


@pytest.mark.parametrize("kind", SURFACES)
def test_a_surface_has_its_middle_colour(kind) -> None:
    """On average within 7 % of each channel; the pattern is of shades, so that the hue stays."""
    picture = Surface(kind, RGB, 1).picture().astype(float)
    np.testing.assert_allclose(picture.mean(axis=(0, 1)), 255 * np.array(RGB), rtol=0.07)
    bright, dark = np.quantile(picture[..., 0], [0.9, 0.1])
    assert bright - dark > 4


def test_colours_are_cut_at_white_and_black() -> None:
    """A white or a black table does not wrap around."""
    white = Surface("checks", (1.0, 1.0, 1.0), 0).picture()
    assert set(np.unique(white)) == {round(255 * 0.76), round(255 * 0.94), 255}
    assert Surface("stone", (0.0, 0.0, 0.0), 0).picture().max() == 0
    assert Surface("stone", (1.0, 1.0, 1.0), 0).picture().min() > 128


@pytest.mark.parametrize("kind", ["wood", "stone", "laminate"])
@pytest.mark.parametrize("axis", [0, 1])
def test_nobody_sees_where_a_surface_begins_anew(kind, axis) -> None:
    """From the last row or column to the first it changes no more than from one to the next within."""
    picture = Surface(kind, (0.5, 0.5, 0.5), 2).picture().astype(float)
    inside = np.abs(np.diff(picture, axis=axis)).mean()
    across = np.abs(picture.take(0, axis=axis) - picture.take(-1, axis=axis)).mean()
    assert across < 1.5 * inside + 0.1


@pytest.mark.parametrize("seed", range(4))
def test_checks_are_squares_that_fit(seed) -> None:
    """4 or 8 pairs of bands along each side: light, dark where two bands cross, and between."""
    row = Surface("checks", (0.5, 0.5, 0.5), seed).picture()[:, :, 0].astype(int)
    assert set(np.unique(row)) == {round(127.5 * 1.12), round(127.5 * 0.94), round(127.5 * 0.76)}
    changes = np.flatnonzero(np.diff(row[0]))
    assert len(changes) in (7, 15)
    assert set(np.diff(changes)) == {SIZE_PX // (len(changes) + 1)}
    np.testing.assert_array_equal(row, row.T)


@pytest.mark.parametrize("kind", WEAVES)
def test_a_weave_is_grey_to_be_coloured_by_its_material(kind) -> None:
    """All channels alike, the ground almost white, the pattern darker; the same file each time."""
    picture = weave(kind)
    assert picture.shape == (SIZE_PX, SIZE_PX, 3)
    assert (picture == picture[..., :1]).all()
    assert picture.max() == 235
    assert picture.min() < 0.7 * 235
    assert weave_file(kind) == weave_file(kind)


def test_a_towels_stripes_are_near_two_edges() -> None:
    """Three along each, 10 pixels wide, the outermost at the edge; the middle has threads alone."""
    shade = weave("striped")[..., 0].min(axis=1)
    dark = np.flatnonzero(shade < 170)
    expected = [row for row in range(256) if row // 10 % 2 == 0 and (row < 60 or row >= 196)]
    assert dark.tolist() == expected
    assert {round(235 * share) for share in (1.0, 0.94)} == set(np.unique(weave("striped")[100, :, 0]))


def test_a_lattice_has_upright_slots_between_solid_edges() -> None:
    """22 of 32 pixels are slot, from row 51 to row 205; above and below there is none."""
    grey = weave("lattice")[..., 0]
    assert (grey[:51] == 235).all()
    assert (grey[206:] == 235).all()
    slots = grey[51:206] == round(235 * 0.55)
    assert (slots == slots[0]).all()
    assert slots[0].reshape(8, 32).tolist() == [[False] * 10 + [True] * 22] * 8


def test_speckles_are_rare() -> None:
    """A tenth of the picture, where the noise is 1.2 times its spread above the middle."""
    assert 0.09 < (weave("speckled")[..., 0] < 200).mean() < 0.14
