"""Every error that this project raises on purpose; a message says what was expected, what came, what was available."""


class MagmaRosError(Exception):
    """Root of the project's errors; catch it to catch them all."""


class ContractError(MagmaRosError):
    """A value does not agree with the action contract: unit, frame, rotation form, rate or bounds."""


class InvalidInputError(MagmaRosError):
    """An image, pose or instruction that cannot be used as it came."""


class ActionDecodeError(MagmaRosError):
    """Tokens that are not exactly one action: a wrong count or an id outside the action bins."""


class NormalizationError(MagmaRosError):
    """Statistics that are missing, misshapen, not finite or for another embodiment."""


class CheckpointError(MagmaRosError):
    """A checkpoint folder that is incomplete, altered, unsafe or of another architecture."""


class PolicyError(MagmaRosError):
    """A policy that could not turn an observation into an action chunk."""


class EpisodeError(MagmaRosError):
    """Episodes on disk that are incomplete or do not agree with their description."""


class EnvError(MagmaRosError):
    """A simulated environment that was used out of order or cannot be built."""
