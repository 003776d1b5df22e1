"""Every error that this project raises on purpose; a message says what was expected, what came, what was available."""


class MagmaRosError(Exception):
    """Root of the project's errors; catch it to catch them all."""


class NotBuiltError(MagmaRosError, ImportError):
    """Messages, services and actions of this project that were not compiled for this Python."""


class ContractError(MagmaRosError):
    """A value does not agree with the action contract: unit, frame, rotation form, rate or bounds."""


class InvalidInputError(MagmaRosError):
    """An image, pose or instruction that cannot be used as it came."""


class MarkTextError(InvalidInputError):
    """A text that is not marks, traces or a click in Magma's form; names the fault and its place."""


class TransformError(MagmaRosError):
    """Frames that are not linked, or links that make no tree: the pose of one in the other is not known."""


class KinematicsError(MagmaRosError):
    """An arm whose joints cannot be worked out: no library, no usable URDF, or a joint or link that it lacks."""


class ActionDecodeError(MagmaRosError):
    """Tokens that are not exactly one action: a wrong count or an id outside the action bins."""


class NormalizationError(MagmaRosError):
    """Statistics that are missing, misshapen, not finite or for another embodiment."""


class CheckpointError(MagmaRosError):
    """A checkpoint folder that is incomplete, altered, unsafe or of another architecture."""


class ActivationError(CheckpointError):
    """A checkpoint that may not act: its network ignores what it is shown, or misfits contract or golden output."""


class PolicyError(MagmaRosError):
    """A policy that could not turn an observation into an action chunk."""


class PlayoutError(MagmaRosError):
    """A setpoint that was asked for before there was a measured pose, or that could not be brought to rest."""


class RemotePolicyError(PolicyError):
    """A policy behind a socket that gave no answer that can be used; its children say why."""


class ServerGoneError(RemotePolicyError):
    """Nobody answers at the address, or the connection was lost; nothing is sent twice."""


class DeadlineExceededError(RemotePolicyError):
    """No answer in the time that was allowed for it."""


class AuthenticationError(RemotePolicyError):
    """One end does not trust the other: a token or a certificate was refused."""


class OverloadedError(RemotePolicyError):
    """The server has as many clients, or as many questions waiting, as it takes."""


class RemoteRefusalError(RemotePolicyError):
    """The server refused, for a reason that this side has no error of its own for."""


class ProtocolError(RemotePolicyError):
    """Bytes from the other end that are not a message of the protocol, or not one of this size, version or moment."""


class ServerError(MagmaRosError):
    """A policy server that cannot be started as it is configured."""


class ArmConfigError(MagmaRosError):
    """The description of an arm that is missing, unreadable, or contradicts its schema or itself; names every fault."""


class RecordingError(MagmaRosError):
    """A bag that cannot be written where it was wanted, or cannot be read."""


class TeleopError(MagmaRosError):
    """A device, a mapping of keys or buttons, or a script of teleoperation that cannot be used."""


class EpisodeError(MagmaRosError):
    """Episodes on disk that are incomplete or do not agree with their description."""


class NotFiniteError(EpisodeError):
    """An episode with numbers that are NaN or infinite; names the arrays and their first steps."""


class ImportDataError(MagmaRosError):
    """Demonstrations in a foreign format that cannot be read, or whose conventions are in doubt."""


class EnvError(MagmaRosError):
    """A simulated environment that was used out of order or cannot be built."""


class SweepError(MagmaRosError):
    """Trials that cannot be run or read as asked: a folder in use or of another sweep, a damaged or doubled record."""


class TrainingError(MagmaRosError):
    """A training run that cannot begin, go on or be trusted: nothing was written over what was there before."""


class RecipeError(TrainingError):
    """A recipe with an unknown key, a value that cannot be used, or another run's folder as its output."""


class PromotionError(MagmaRosError):
    """A checkpoint that may not be promoted, or a folder of promoted ones that cannot be used; nothing was changed."""


class ConversationError(MagmaRosError):
    """Conversations to train on that cannot be used; names their lines and what is wrong with each."""


class CurationError(MagmaRosError):
    """Videos or their descriptions that cannot be curated: malformed lines, or a folder of another curation."""


class AnnotationError(MagmaRosError):
    """Pictures that cannot be annotated as asked, or a folder that holds other annotations."""
