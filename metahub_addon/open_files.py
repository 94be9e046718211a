"""How many files this process may have open, and how many connections that makes."""

import resource

# More would be of no use: see MOST_CONNECTIONS.
_FILES = 65536
# Four connections each of a fleet of four thousand; a silent one by TLS costs about 0.1 MiB.
MOST_CONNECTIONS = 16384
# The page's connections (256), those to registries, files; and what a listener accepts in
# one turn, before anybody is asked.
_RESERVED = 768
_PER_CONNECTION = 2  # a client's, and the one to the registry for it


def raise_file_limit() -> int:
    """Use what the hard limit allows (systemd and shells set the soft one to 1024).

    Returns how many files may be open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(_number(hard), _FILES)
    if wanted <= _number(soft):
        return _number(soft)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def connections_of(files: int) -> int:
    """How many clients may be connected, so that files are left for all else."""
    reserved = min(_RESERVED, files // 2)
    return min(MOST_CONNECTIONS, (files - reserved) // _PER_CONNECTION)


def _number(limit: int) -> int:
    return 2**31 if limit == resource.RLIM_INFINITY else limit
