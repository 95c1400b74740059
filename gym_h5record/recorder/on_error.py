"""The option ``on_error``: what the recorder does when the writer has failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakMethod

from gym_h5record.errors import RecordingPathError, WriterError
from gym_h5record.notices import warn
from gym_h5record.options import check_one_of

__all__ = ["FAILURES", "ErrorPolicy"]

FAILURES = (WriterError, RecordingPathError)
"""The errors that ``on_error`` is about."""


class ErrorPolicy:
    """Raises an error of the writer, or ends the recording with a warning, as ``on_error`` says.

    Args:
        on_error: ``"raise"`` or ``"warn"``.
        close: The method that ends the recording. Its object has this policy and is not kept alive by it: in a cycle,
            a recorder that is dropped would wait for the garbage collector.

    Attributes:
        has_given_up: Whether the recording has been ended with a warning.

    Raises:
        OptionError: If ``on_error`` has another value.
    """

    def __init__(self, on_error: str, close: Callable[[], None]) -> None:
        check_one_of("on_error", on_error, ("raise", "warn"))
        self._warns = on_error == "warn"
        self._close = WeakMethod(close)
        self.has_given_up = False

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Apply the option to the errors of the block."""
        try:
            yield
        except FAILURES as error:
            if not self.goes_on_after(error):
                raise

    def goes_on_after(self, error: BaseException) -> bool:
        """Whether the environment goes on without being recorded after an error. If so, the user has been warned."""
        if not self._warns or not isinstance(error, FAILURES):
            return False
        causes, close = [error], self._close()
        try:
            if close is not None:
                close()
        except FAILURES as closing_error:
            causes.append(closing_error)
        self.has_given_up = True
        warn(f"{' '.join(map(str, causes))} The environment goes on without being recorded.")
        for each in causes:  # their stack frames refer to the journal
            each.__traceback__ = each.__cause__ = each.__context__ = None
        return True
