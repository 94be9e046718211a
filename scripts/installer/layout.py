"""Names, ports and places of an installed metahub. What uses them elsewhere says so."""

from pathlib import PurePosixPath

ACCOUNT = "metahub"
SERVICE = "metahub.service"
FIREWALL = "metahub-firewall.service"
TABLE = "inet metahub"

CONFIG = PurePosixPath("/etc/metahub")
PROGRAM = PurePosixPath("/opt/metahub")
CURRENT = PROGRAM / "current"
STATE = PurePosixPath("/var/lib/metahub")
UNITS = PurePosixPath("/etc/systemd/system")

CONFIG_FILE = CONFIG / "config.yaml"
PROFILE = CONFIG / "profile.yaml"
# mitmproxy finds its CA by these names.
CA_KEY = CONFIG / "mitmproxy-ca.pem"
CA_CERTIFICATE = CONFIG / "mitmproxy-ca-cert.pem"
DH_PARAMETERS = CONFIG / "mitmproxy-dhparam.pem"
TABLE_FILE = CONFIG / "firewall.nft"
HEARTBEAT_FILE = CONFIG / "heartbeat.nft"
# scripts/installer/trust_bundle.py writes it at each start of the service.
UPSTREAM_TRUST = PurePosixPath("/run/metahub/trust.pem")

DOCKER_CERTS = PurePosixPath("/etc/docker/certs.d")
DOCKER_CONFIG = PurePosixPath("/etc/docker/daemon.json")
CONTAINERS_CERTS = PurePosixPath("/etc/containers/certs.d")
CONTAINERD_CERTS = PurePosixPath("/etc/containerd/certs.d")
CONTAINERD_CONFIG = PurePosixPath("/etc/containerd/config.toml")
PODMAN_REGISTRIES = PurePosixPath("/etc/containers/registries.conf.d/metahub.conf")
PODMAN_ENGINE = PurePosixPath("/etc/containers/containers.conf.d/metahub.conf")

TRANSPARENT_PORT = 18082
PROXY_PORT = 18081
MIRROR_PORT = 20443
LAYERS_PORT = 17443
FIREWALL_PORT = 18083
RELAY_PORT = 18084
