"""What ends an installation with exit code 2."""


class Problem(Exception):
    """Wrong use, wrong input, or a node that can't be served; the message is one clear line."""
