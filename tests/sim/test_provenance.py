"""What a number was measured with."""

from __future__ import annotations

import json
import platform

from magma_ros.sim.provenance import provenance


def test_provenance_names_commit_versions_device_and_machine() -> None:
    """A report says with what it was made, in plain JSON."""
    document = provenance(device="cpu")
    assert json.loads(json.dumps(document)) == document
    assert set(document) == {"commit", "versions", "device", "machine"}
    assert document["versions"]["python"] == platform.python_version()
    assert "numpy" in document["versions"]
    assert document["device"] == "cpu"
