"""The media types of manifests (OCI image spec, 'Media Types'; Docker manifest v2)."""

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"

INDEXES = frozenset({DOCKER_LIST, OCI_INDEX})
MANIFESTS = frozenset({DOCKER_MANIFEST, OCI_MANIFEST})
IMAGE_CONFIGS = frozenset(
    {
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.oci.image.config.v1+json",
    }
)


def essence(content_type: str) -> str:
    """The media type of a Content-Type header, without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def accepts(accept_lines: list[str], media_type: str) -> bool:
    """Whether a request's Accept header, in all its lines, takes a media type.

    RFC 9110, 12.5.1: the most specific range decides, `q=0` refuses, no header
    takes everything.
    """
    joined = ",".join(accept_lines)
    if not joined.strip():
        return True
    family = media_type.partition("/")[0]
    qualities: dict[str, float] = {}
    for item in joined.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        qualities[name] = max(qualities.get(name, 0.0), _quality(parameters))
    for media_range in (media_type, f"{family}/*", "*/*"):
        if media_range in qualities:
            return qualities[media_range] > 0
    return False


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
