"""Numbers and nouns in messages and tables."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 image``, ``2 images``.

    Args:
        number: How many.
        noun: In the singular.
        plural: Where it is not the singular with an s.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
