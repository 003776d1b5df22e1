"""The scene's files come with the package."""

import numpy as np

from magma_ros.sim.bridge.assets import MESH_FOLDER, MESHES, hull_vertices, scene_files, wood_picture


def test_every_mesh_is_there_with_its_licence():
    """All ten meshes are shipped next to the notice and the licence that they ask for."""
    assert set(MESHES.values()) <= set(scene_files())
    assert "Trossen Robotics" in (MESH_FOLDER / "NOTICE").read_text()
    assert "Redistributions" in (MESH_FOLDER / "LICENSE").read_text()


def test_wood_is_the_same_everywhere():
    """The texture is a function of its seed."""
    assert np.array_equal(wood_picture(), wood_picture())
    assert wood_picture().shape == (256, 256, 3)


def test_a_hull_fills_its_bounding_box():
    """The vertices of rings whose widths reach 1 reach the given half sizes and not further."""
    sections = ((-1.0, 0.5), (0.0, 1.0), (1.0, 0.1))
    vertices = hull_vertices((0.0575, 0.016, 0.019), sections)
    assert vertices.shape == (36, 3)
    assert np.allclose((0.0575, 0.016, 0.019), np.abs(vertices).max(axis=0))
