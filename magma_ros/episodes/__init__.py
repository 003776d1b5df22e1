"""Episodes on disk, in the LeRobot v3.0 layout; `RawDataset` reads other people's, too."""

from magma_ros.episodes.catalogue import Feature, RawRow
from magma_ros.episodes.dataset import EpisodeDataset, holds_episodes
from magma_ros.episodes.episode import Episode
from magma_ros.episodes.layout import Pictures
from magma_ros.episodes.raw import RawDataset, RawEpisode
from magma_ros.episodes.writer import EpisodeWriter

__all__ = [
    "Episode",
    "EpisodeDataset",
    "EpisodeWriter",
    "Feature",
    "Pictures",
    "RawDataset",
    "RawEpisode",
    "RawRow",
    "holds_episodes",
]
