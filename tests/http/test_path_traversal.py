"""Paths that try to leave the served directory, next to a bystander that misses nothing."""

import json
import random
from pathlib import Path

import pytest

from ..harness.attack import under_attack
from ..harness.error_log import errors_of
from ..harness.plain_http import BROWSER, plain_head
from ..harness.site import SECRET, make_attacked_site

SEED = 20_261
TRAVERSALS = [
    "/../secret.txt",
    "/docs/../../secret.txt",
    "/docs/../app.js",
    "/./app.js",
    "/%2e%2e/secret.txt",
    "/%2E%2E%2fsecret.txt",
    "/.%2e/secret.txt",
    "/docs/%2e%2e/%2e%2e/secret.txt",
    "/docs%2f..%2f..%2fsecret.txt",
    "/docs%2Fguide.txt",
    "/%252e%252e/secret.txt",
    "/%252e%252e%252fsecret.txt",
    "/%25252e%25252e/secret.txt",
    "/..\\secret.txt",
    "/..%5csecret.txt",
    "/%2e%2e%5csecret.txt",
    "/docs\\guide.txt",
    "/docs%5cguide.txt",
    "//secret.txt",
    "//app.js",
    "//evil.example/app.js",
    "///../secret.txt",
    "/docs//guide.txt",
    "//127.0.0.1/../secret.txt",
    "http://127.0.0.1/../secret.txt",
    "http://127.0.0.1/%2e%2e/secret.txt",
    "http://127.0.0.1//app.js",
    "file:///../secret.txt",
    "file:../secret.txt",
    "../secret.txt",
    "app.js",
    "/app.js%00",
    "/app.js%00.html",
    "/%00/../secret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/..%c0%afsecret.txt",
    "/%e0%80%ae%e0%80%ae/secret.txt",
    "/%f0%80%80%ae/secret.txt",
    "/%uff0e%uff0e/secret.txt",
    "/%EF%BC%8E%EF%BC%8E/secret.txt",
    "/..;/secret.txt",
    "/docs/..;/..;/secret.txt",
    "/.hidden",
    "/%2ehidden",
    "/.git/config",
    "/outside/index.html",
    "/~root/.profile",
    "/etc/passwd",
    "//etc/passwd",
    "/C:/secret.txt",
    "/APP.JS",
    "/app.js/.",
    "/app.js ",
    "/%20app.js",
    "/app.js;a=b",
    "/proc/self/environ",
]


@pytest.mark.parametrize("accept", [None, BROWSER])
async def test_no_spelling_of_a_path_leads_out_of_the_directory(
    site: Path, accept: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with under_attack(make_attacked_site(site)) as attack:
        for target in [*TRAVERSALS, f"/..{site.parent}/secret.txt", f"{site.parent}/secret.txt"]:
            answer = await attack.ask(plain_head(target, accept=accept))
            assert answer.status in (400, 404), target
            assert SECRET.encode() not in answer.body
            assert "location" not in answer.headers
    assert errors_of(caplog) == []


async def test_no_random_path_leads_out_of_the_directory(site: Path) -> None:
    pieces = (
        "/",
        "/",
        "..",
        ".",
        "%2e",
        "%2f",
        "%252e",
        "\\",
        "%5c",
        "%00",
        "%c0%ae",
        "%",
        "//",
        ";",
        "docs",
        "outside",
    )
    names = ("", "secret.txt", "app.js", "index.html", ".hidden", "config")
    draw = random.Random(SEED)
    statuses: set[int] = set()
    async with under_attack(make_attacked_site(site), connections_per_address=None) as attack:
        for _ in range(1_000):
            target = "/" + "".join(draw.choices(pieces, k=draw.randrange(6))) + draw.choice(names)
            answer = await attack.ask(plain_head(target))
            statuses.add(answer.status)
            assert SECRET.encode() not in answer.body, target
            assert answer.headers.get("location") in (None, "docs/")
    assert statuses == {200, 308, 400, 404}


@pytest.mark.parametrize(
    "target",
    [
        *("/%", "/%a", "/%zz", "/%%", "/app.js%", "/%-1", "/% 20", "/%2f", "/%00", "/\x00"),
        *("/%ff", "/%c3", "/%c3%28", "/%ed%a0%80", "/%f5%80%80%80", "/caf\xe9"),
    ],
)
async def test_an_invalid_escape_is_refused(site: Path, target: str) -> None:
    async with under_attack(make_attacked_site(site)) as attack:
        answer = await attack.ask(plain_head(target))
        assert (answer.status, json.loads(answer.body)["code"]) == (400, "bad-request")
