"""What a command answers when it cannot do what was asked."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
EXIT_TIMEOUT = 3


class CommandError(RuntimeError):
    """One sentence for the person at the terminal; `exit_code` for scripts."""

    def __init__(self, sentence: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
