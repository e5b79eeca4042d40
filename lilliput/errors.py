"""The two ways a command can end badly; everything else is a defect of ours."""


class UserError(Exception):
    """The user's mistake (exit code 2): the message says what was wrong, where, and what to do."""


class WorkFailed(Exception):
    """The work could not be done though the request was sound (exit code 1)."""
