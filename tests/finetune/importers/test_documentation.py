from pathlib import Path

from magma_ros.finetune.importers import mapping
from magma_ros.finetune.importers.conventions import SETTLED_BY

TEXT = (Path(__file__).parents[3] / "docs" / "importing.md").read_text(encoding="utf-8")


def test_every_doubt_key_and_mapping_is_documented():
    """docs/importing.md names them all."""
    words = [*SETTLED_BY, *mapping.schema()["properties"], *mapping.available()]
    assert [] == [word for word in words if f"`{word}" not in TEXT and f".{word}" not in TEXT]
