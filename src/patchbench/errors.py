"""The one exception a user can cause."""


class UserError(Exception):
    """A mistake in the config or the data, told in one sentence.

    The sentence says what is wrong, where, and the way out. The command line prints it
    without a traceback and exits with status 2.
    """
