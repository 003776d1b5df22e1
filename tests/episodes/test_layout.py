"""Names of files."""

from __future__ import annotations

from magma_ros.episodes.layout import DATA_PATH, VIDEO_PATH, FileIndex


def test_files_fill_a_folder_of_a_thousand_and_go_on_in_the_next() -> None:
    """As LeRobot counts them."""
    assert FileIndex(0, 0).following() == FileIndex(0, 1)
    assert FileIndex(0, 999).following() == FileIndex(1, 0)
    assert FileIndex(1, 7).path(DATA_PATH) == "data/chunk-001/file-007.parquet"
    assert FileIndex(0, 12).path(VIDEO_PATH, video_key="a.b") == "videos/a.b/chunk-000/file-012.mp4"
