"""One seed, expanded per purpose: adding a method shifts no other method's randomness."""

from hashlib import sha256


def derive(seed: int, *purpose: str) -> int:
    """A seed (0 to 2**31 - 1) for one purpose, for example ``derive(0, "encoder", "bagnet")``.

    >>> derive(0, "encoder", "sift") == derive(0, "encoder", "sift")
    True
    >>> derive(0, "encoder", "sift") == derive(0, "encoder", "bagnet")
    False
    """
    text = "/".join([str(seed), *purpose])
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") >> 1
