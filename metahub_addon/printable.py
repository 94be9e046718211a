"""Text from elsewhere, made safe for a terminal and for one line of a file."""


def printable(text: str) -> str:
    """The text with what is not printable (escapes, line ends) written as Python escapes it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
