"""The one exception a user can cause, and the sentences it is told in."""


class UserError(Exception):
    """A mistake in the config or the data, told in one sentence.

    The sentence says what is wrong, where, and the way out. The command line prints it
    without a traceback and exits with status 2. Names of files and values of settings come from
    elsewhere: what of them is not printable is escaped, so that a sentence stays one line, can be
    encoded, and steers no terminal.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))


def printable(text: str) -> str:
    r"""Escape line breaks and whatever else cannot be printed.

    >>> printable("ü\nx")
    'ü\\nx'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
