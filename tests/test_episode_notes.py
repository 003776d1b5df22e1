from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.episode_notes import EpisodeNotes
from magma_ros.errors import RecordingError

NOTES = EpisodeNotes.begin(instruction="put carrot on plate", operator="ada", arm="sim")


@given(instruction=st.text(), operator=st.text(), outcome=st.sampled_from(["success", "failure", "unknown"]))
def test_notes_survive_being_written(instruction, operator, outcome):
    """What was noted is read back, whatever the texts are."""
    notes = EpisodeNotes.begin(instruction=instruction, operator=operator, arm="sim").end(outcome)
    assert notes == EpisodeNotes.from_dict(notes.to_dict() | {"other": "text"})


def test_an_episode_under_way_has_neither_end_nor_outcome():
    """Only its end says so, and it is not before the start."""
    assert ("unknown", False) == (NOTES.outcome, "ended" in NOTES.to_dict())
    ended = NOTES.end("success")
    assert "success" == ended.to_dict()["outcome"]
    assert datetime.fromisoformat(ended.started) <= datetime.fromisoformat(ended.ended)
    assert datetime.fromisoformat(ended.started).utcoffset().total_seconds() == 0


@pytest.mark.parametrize("name", ["instruction", "operator", "arm", "started", "outcome"])
def test_a_note_that_is_missing_or_no_text_is_named(name):
    """A bag of somebody else's says nothing that we would guess."""
    data = NOTES.to_dict()
    for broken in ({**data, name: 7}, {key: text for key, text in data.items() if key != name}):
        with pytest.raises(RecordingError, match=name):
            EpisodeNotes.from_dict(broken)


def test_an_unknown_outcome_is_refused():
    """Only the three that there are."""
    with pytest.raises(RecordingError, match="splendid"):
        EpisodeNotes.from_dict(NOTES.to_dict() | {"outcome": "splendid"})
