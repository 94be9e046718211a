"""The node's own CA, and its profile."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ClassVar

from installer.layout import ACCOUNT, CA_CERTIFICATE, CA_KEY, DH_PARAMETERS, PROFILE, STATE
from installer.node import Node
from installer.problem import Problem
from installer.states import remove, write_whole


@dataclass(frozen=True, slots=True)
class Authority:
    """The node's own CA. Its key can be read by the proxy's user alone, and not changed."""

    python: PurePosixPath
    organisation: str
    kind: ClassVar[str] = "made"
    key: ClassVar[str] = "authority"

    @property
    def touched(self) -> tuple[str, ...]:
        """What mitmproxy looks for, of all that it would make."""
        return tuple(map(str, (CA_KEY, CA_CERTIFICATE, DH_PARAMETERS)))

    def is_done(self, node: Node) -> bool:
        """True if there is one; it is made once."""
        return all(node.path(path).is_file() for path in self.touched)

    def apply(self, node: Node) -> None:
        """Let mitmproxy make one, in a folder that only root may enter."""
        work = node.path(STATE / "authority")
        remove(work)
        work.mkdir(0o700)
        program = (
            "import pathlib, sys; from mitmproxy.certs import CertStore; "
            "CertStore.create_store(pathlib.Path(sys.argv[1]), 'mitmproxy', 2048, *sys.argv[2:])"
        )
        try:
            name = self.organisation
            node.must(str(self.python), "-IBc", program, str(STATE / "authority"), name, name)
            for target in self.touched:
                is_key = target == str(CA_KEY)
                path = node.path(target)
                made = (work / path.name).read_bytes()
                write_whole(path, made, 0o640 if is_key else 0o644)
                if is_key:
                    node.commands.give(path, "root", ACCOUNT)
        finally:
            remove(work)

    def __str__(self) -> str:
        return f"{CA_KEY}: a CA of this node's own, {self.organisation}"


@dataclass(frozen=True, slots=True)
class DetectedProfile:
    """A profile of this host, unless there is one."""

    metahub: PurePosixPath
    kind: ClassVar[str] = "made"
    key: ClassVar[str] = str(PROFILE)

    @property
    def touched(self) -> tuple[str, ...]:
        """The profile."""
        return (str(PROFILE),)

    def is_done(self, node: Node) -> bool:
        """True if there is any: it may be the operator's work."""
        return node.path(PROFILE).is_file()

    def apply(self, node: Node) -> None:
        """Detect it."""
        node.must(str(self.metahub), "detect", "--output", str(PROFILE))

    def __str__(self) -> str:
        return f"{PROFILE}: this host, as metahub detects it"


@dataclass(frozen=True, slots=True)
class GivenProfile:
    """The profile that the operator gave, if it is sound. `name`: where it came from."""

    content: bytes = field(repr=False)
    name: str
    metahub: PurePosixPath
    kind: ClassVar[str] = "paths"
    key: ClassVar[str] = str(PROFILE)

    @property
    def touched(self) -> tuple[str, ...]:
        """The profile."""
        return (str(PROFILE),)

    def is_done(self, node: Node) -> bool:
        """True if it reads so."""
        path = node.path(PROFILE)
        return path.is_file() and path.read_bytes() == self.content

    def apply(self, node: Node) -> None:
        """Check it, then write it."""
        tried = STATE / "profile.yaml"
        write_whole(node.path(tried), self.content, 0o600)
        try:
            done = node.run(str(self.metahub), "check", str(tried))
        finally:
            remove(node.path(tried))
        if done.code:
            said = done.errors.strip().removeprefix("metahub: ")
            raise Problem(said.replace(str(tried), f"--profile {self.name}"))
        write_whole(node.path(PROFILE), self.content, 0o644)

    def __str__(self) -> str:
        return f"{PROFILE}: {self.name}"
