"""The errors of this package.

::

    RecordingError
    ├── RecordingExistsError        FileExistsError   mode "x" and the file is there
    ├── RecordingNotFoundError      FileNotFoundError no file at the path
    ├── RecordingPathError          OSError           directory missing or not writable
    ├── RecordingInUseError         BlockingIOError   another recorder has the file
    ├── InterruptedRecordingError   OSError           the recorder died; call repair first
    ├── NotARecordingError          ValueError        not HDF5, or not written by us
    │   └── FormatVersionError                        written by a newer version
    ├── CorruptRecordingError       ValueError        the file contradicts the format
    ├── RecordingClosedError        ValueError        read after close()
    ├── SchemaMismatchError         ValueError        append with other spaces or columns
    ├── UnsupportedSpaceError       TypeError         a space that cannot be stored, registered or sampled
    ├── UnsupportedEnvError         TypeError         a VectorEnv where an Env is needed
    ├── MetadataError               TypeError         user metadata that cannot be stored
    ├── SpecError                   ValueError        a spec that cannot be stored, or names a missing object
    ├── UnbuildableEnvError         RuntimeError      no environment can be made from the file
    ├── EnvMismatchError            ValueError        an environment with other spaces than the recorded ones
    ├── EpisodeDataError            ValueError        arrays of an episode that do not fit together
    ├── SelectionError              ValueError        episodes that cannot be chosen so, a mask that cannot be kept
    ├── OptionError                 ValueError        an unknown mode, codec, writer ...
    │   └── RenderModeError                           frames wanted from an env that has none
    ├── MissingDependencyError      ImportError       an extra that is not installed
    ├── WriterError                 OSError           the writer failed: disk full, killed ...
    ├── SnapshotError               ValueError        generators that do not fit the environment
    ├── StepBeforeResetError        RuntimeError      also gymnasium's ResetNeeded
    └── ReplayError                 RuntimeError
        ├── EndOfEpisodeError       IndexError        stepped past the recorded end
        ├── ActionMismatchError     ValueError        another action than the recorded one
        ├── NotReplayableError                        its first state cannot be reached
        └── DivergedError                             the environment now does something else

A message says what was expected, what was found, where, and what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gym_h5record.display import printable_lines

__all__ = [
    "ActionMismatchError",
    "CorruptRecordingError",
    "DivergedError",
    "EndOfEpisodeError",
    "EnvMismatchError",
    "EpisodeDataError",
    "FormatVersionError",
    "InterruptedRecordingError",
    "MetadataError",
    "MissingDependencyError",
    "NotARecordingError",
    "NotReplayableError",
    "OptionError",
    "RecordingClosedError",
    "RecordingError",
    "RecordingExistsError",
    "RecordingInUseError",
    "RecordingNotFoundError",
    "RecordingPathError",
    "RecordingWarning",
    "RenderModeError",
    "ReplayError",
    "SchemaMismatchError",
    "SelectionError",
    "SnapshotError",
    "SpecError",
    "StepBeforeResetError",
    "UnbuildableEnvError",
    "UnsupportedEnvError",
    "UnsupportedSpaceError",
    "WriterError",
]


class RecordingError(Exception):
    """Root of all errors raised by gym_h5record."""

    def __str__(self) -> str:
        """The message, with unprintable characters escaped: it may quote a hostile file."""
        return printable_lines(super().__str__())


class RecordingExistsError(RecordingError, FileExistsError):
    """The file exists and the mode does not allow touching it."""


class RecordingNotFoundError(RecordingError, FileNotFoundError):
    """There is no file at the path."""


class RecordingPathError(RecordingError, OSError):
    """The directory of the path does not exist or cannot be written."""


class RecordingInUseError(RecordingError, BlockingIOError):
    """Another recorder, in this process or another one, holds the file."""


class InterruptedRecordingError(RecordingError, OSError):
    """The file was left by a recorder that died; it has to be recovered first."""


class NotARecordingError(RecordingError, ValueError):
    """The file is not HDF5, or no recording of ours."""


class FormatVersionError(NotARecordingError):
    """The file is in a version of the format that this package does not know."""


class CorruptRecordingError(RecordingError, ValueError):
    """The file contradicts its own format."""


class RecordingClosedError(RecordingError, ValueError):
    """The recording has been closed."""


class SchemaMismatchError(RecordingError, ValueError):
    """Appending with spaces or columns other than the file's."""


class UnsupportedSpaceError(RecordingError, TypeError):
    """A space, or a value in place of one, that cannot be stored, registered or sampled."""


class UnsupportedEnvError(RecordingError, TypeError):
    """Not an environment this recorder can wrap."""


class MetadataError(RecordingError, TypeError):
    """Metadata given by the user that cannot be written as JSON."""


class SpecError(RecordingError, ValueError):
    """The spec of an environment cannot be stored, or names an object that does not exist."""


class UnbuildableEnvError(RecordingError, RuntimeError):
    """The file does not suffice to make its environment; the message says what to pass instead."""


class EnvMismatchError(RecordingError, ValueError):
    """An environment cannot be the recorded one: its spaces differ."""


class EpisodeDataError(RecordingError, ValueError):
    """The arrays of an episode do not fit together."""


class SelectionError(RecordingError, ValueError):
    """Episodes cannot be chosen in this way, or a mask cannot be kept under this name."""


class OptionError(RecordingError, ValueError):
    """An option has an unknown value."""


class RenderModeError(OptionError):
    """Frames are wanted from an environment that does not render pictures."""


class MissingDependencyError(RecordingError, ImportError):
    """An optional library is not installed; the message names the command."""


class WriterError(RecordingError, OSError):
    """Writing the file failed; the message has the cause and the path."""


class SnapshotError(RecordingError, ValueError):
    """The recorded state of generators and simulator does not fit the environment."""


class ReplayError(RecordingError, RuntimeError):
    """An episode cannot be replayed as asked."""


class EndOfEpisodeError(ReplayError, IndexError):
    """``step`` was called at or after the recorded end of the episode."""


class ActionMismatchError(ReplayError, ValueError):
    """The action is not the recorded one and ``on_mismatch`` is ``"raise"``."""


class NotReplayableError(ReplayError):
    """An episode cannot be simulated again: the file does not say enough about its beginning."""


class DivergedError(ReplayError):
    """The environment does something else than the recorded one."""


class RecordingWarning(UserWarning):
    """A value was recorded in another way than the environment declared."""


if TYPE_CHECKING:
    from gymnasium.error import ResetNeeded

    class StepBeforeResetError(RecordingError, ResetNeeded, RuntimeError):
        """``step`` was called before the first ``reset``."""

else:

    def __getattr__(name: str) -> Any:
        """Make ``StepBeforeResetError`` on first use: Gymnasium, which has its base, takes 0.09 s to import."""
        if name != "StepBeforeResetError":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from gymnasium.error import ResetNeeded

        about = {"__module__": __name__, "__doc__": "``step`` was called before the first ``reset``."}
        error = type(name, (RecordingError, ResetNeeded, RuntimeError), about)
        return globals().setdefault(name, error)  # two threads get the same class

    def __dir__() -> list[str]:
        return __all__
