import json
from collections.abc import Mapping

import pytest

from metahub_addon.compatibility import Compatibility
from metahub_addon.nfd import ARTIFACT_TYPE, MAX_SPEC_BYTES, SPEC_TYPE, NodeFeatures
from metahub_addon.upstream import FetchError, Repository
from support.embedded_registry import EmbeddedRegistry, sha256
from support.fake_fetcher import REPOSITORY

NODE = NodeFeatures({"cpu.cpuid": ({"AVX2": ""},)})
SPEC = (
    "version: v1alpha1\ncompatibilities: [{{rules: [{{name: r, matchFeatures: [{{feature: "
    "cpu.cpuid, matchExpressions: {{{}: {{op: Exists}}}}}}]}}]}}]\n"
)


class Registry(EmbeddedRegistry):
    """A Source that answers from an embedded registry's contents, and counts."""

    def __init__(self, lists_referrers: bool = True) -> None:
        super().__init__(lists_referrers=lists_referrers)
        self.child: str = self.put_image("a/b", "child")["digest"]
        self.paths: list[str] = []
        self.answers: dict[str, bytes | int] = {}

    def say(self, spec: str, created: str = "2026-01-01") -> str:
        body = spec.encode()
        found = self.attach("a/b", self.child, ARTIFACT_TYPE, SPEC_TYPE, body, created)
        return str(found["digest"])

    async def ask(
        self, repository: Repository, path: str, accept: str, params: Mapping[str, str]
    ) -> tuple[str, bytes]:
        assert repository == REPOSITORY
        self.paths.append(path)
        kind, _, reference = path.partition("/")
        if kind in self.answers:
            answer = self.answers[kind]
            if isinstance(answer, int):
                raise FetchError(f"the registry answered {answer}", answer)
            return "", answer
        if kind == "referrers":
            if not self.lists_referrers:
                raise FetchError("the registry answered 404", 404)
            assert params == {"artifactType": ARTIFACT_TYPE}
            reference = reference.replace(":", "-")
            if ("a/b", reference) not in self.manifests:
                return "", b'{"manifests": []}'
        if kind == "blobs":
            return "", self.blobs[reference]
        if ("a/b", reference) not in self.manifests:
            raise FetchError("the registry answered 404", 404)
        return self.manifests[("a/b", reference)]


async def refusal(registry: Registry) -> str:
    return await Compatibility(registry, NODE).refusal(REPOSITORY, registry.child)


@pytest.mark.parametrize("lists_referrers", [True, False])
async def test_an_artifact_counts(lists_referrers: bool) -> None:
    registry = Registry(lists_referrers)
    assert await refusal(registry) == ""
    registry.say(SPEC.format("AVX2"))
    assert await refusal(registry) == ""
    registry.say(SPEC.format("AVX512F"), "2026-01-02")  # the newest counts
    assert await refusal(registry) == "NFD's rule 'r' does not hold"
    registry.say(SPEC.format("AVX2"), "2025-01-01")
    assert await refusal(registry) == "NFD's rule 'r' does not hold"


async def test_it_is_asked_for_once_in_a_while() -> None:
    registry = Registry()
    registry.say(SPEC.format("AVX512F"))
    known = Compatibility(registry, NODE)
    for _ in range(3):
        assert await known.refusal(REPOSITORY, registry.child)
    assert [path.partition("/")[0] for path in registry.paths] == [
        "referrers",
        "manifests",
        "blobs",
    ]


async def test_other_artifacts_do_not_count() -> None:
    registry = Registry()
    registry.attach("a/b", registry.child, "application/x", SPEC_TYPE, b"no", "2026")
    assert await refusal(registry) == ""
    registry.answers["referrers"] = b'{"manifests": {}}'
    assert await refusal(registry) == ""
    registry.answers["referrers"] = json.dumps(
        {"manifests": [1, {"artifactType": ARTIFACT_TYPE, "digest": "odd"}]}
    ).encode()
    assert "odd cannot be read: manifests: is no digest" in await refusal(registry)


@pytest.mark.parametrize(
    ("kind", "answer", "warning"),
    [
        ("referrers", 500, "the registry answered 500"),
        ("referrers", b"[]", "the answer is no JSON object"),
        ("referrers", b"{", "the answer is not JSON"),
        ("manifests", 404, "the registry answered 404"),
        ("manifests", b"{}", "was answered with other content"),
        ("blobs", 403, "the registry answered 403"),
        ("blobs", b"other", "was answered with other content"),
    ],
)
async def test_a_registry_that_fails_keeps_nothing_from_being_pulled(
    kind: str, answer: bytes | int, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry()
    registry.say(SPEC.format("AVX512F"))
    registry.answers[kind] = answer
    assert await refusal(registry) == ""
    assert warning in caplog.text
    registry.answers.clear()
    assert await refusal(registry)


async def test_a_fall_back_tag_that_fails_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry(lists_referrers=False)
    registry.answers["manifests"] = 500
    assert await refusal(registry) == ""
    assert "the registry answered 500" in caplog.text


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("version: v2", "cannot be read: version: is not v1alpha1"),
        ("#" * (MAX_SPEC_BYTES + 1), "cannot be read: blobs: has more than"),
    ],
)
async def test_an_artifact_that_cannot_be_read_keeps_the_image_away(spec: str, says: str) -> None:
    registry = Registry()
    registry.say(spec)
    assert says in await refusal(registry)


async def test_an_artifact_without_a_specification() -> None:
    registry = Registry()
    registry.attach("a/b", registry.child, ARTIFACT_TYPE, "text/plain", b"x", "2026")
    assert "has no specification" in await refusal(registry)
    for layers in ([{"mediaType": SPEC_TYPE}], "none"):
        document = {"mediaType": "x", "layers": layers}
        digest = registry.put("a/b", document)["digest"]
        entry = {"artifactType": ARTIFACT_TYPE, "digest": digest, "annotations": []}
        registry.answers["referrers"] = json.dumps({"manifests": [entry]}).encode()
        assert "has no specification" in await refusal(registry)


async def test_an_artifact_that_is_no_manifest_keeps_the_image_away() -> None:
    registry = Registry()
    for body in (b"no JSON", b"[]"):
        registry.manifests[("a/b", sha256(body))] = ("x", body)
        entry = {"artifactType": ARTIFACT_TYPE, "digest": sha256(body)}
        registry.answers["referrers"] = json.dumps({"manifests": [entry]}).encode()
        assert "cannot be read: the answer is n" in await refusal(registry)
