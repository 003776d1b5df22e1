import av
import numpy as np
import pytest
from PIL import Image

from magma_ros.sim.film import Shot, write_contact_sheet, write_film


def shot(count, *, success=True):
    frames = tuple(np.full((60, 80, 3), 20 * i, np.uint8) for i in range(count))
    return Shot('"put carrot on plate", seed 0', "success" if success else "failure", success, frames)


def test_the_film_shows_every_picture_and_then_the_verdict(tmp_path):
    """Each trial's pictures in order, then its last one for 1.2 s, as H.264 with a caption below."""
    path = tmp_path / "film" / "demo.mp4"
    write_film(path, [shot(7), shot(5, success=False)], frames_per_s=10.0)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.codec_context.name == "h264"
    assert len(pictures) == 7 + 12 + 5 + 12
    assert pictures[0].shape == (94, 80, 3)
    assert [pictures[i][:50].mean() for i in range(7)] == pytest.approx([20 * i for i in range(7)], abs=4)


def test_the_contact_sheet_has_a_row_for_each_trial(tmp_path):
    """Evenly spaced pictures, first and last included, one row per trial."""
    path = tmp_path / "sheet.png"
    write_contact_sheet(path, [shot(7), shot(7)], heading="demo", columns=3, cell_width_px=80)
    one = tmp_path / "one.png"
    write_contact_sheet(one, [shot(7)], heading="demo", columns=3, cell_width_px=80)
    sheet, single = np.asarray(Image.open(path)), np.asarray(Image.open(one))
    assert sheet.shape[1] == 2 * 24 + 3 * 80 + 2 * 6
    assert sheet.shape[0] - single.shape[0] == 30 + 60 + 14
    cells = [sheet[58 + 30 + 30, 24 + 40 + column * 86, 0] for column in range(3)]
    assert cells == [0, 60, 120]


def test_trials_without_pictures_write_nothing(tmp_path):
    """Nothing to show makes no file."""
    write_film(tmp_path / "a.mp4", [shot(0)], frames_per_s=10.0)
    write_contact_sheet(tmp_path / "a.png", [shot(0)], heading="demo")
    assert list(tmp_path.iterdir()) == []
