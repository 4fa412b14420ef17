"""Bad plain requests, next to a bystander that misses nothing."""

from functools import partial
from pathlib import Path

import pytest

from ..harness.attack import under_attack
from ..harness.error_log import errors_of
from ..harness.frames import head
from ..harness.plain_http import plain_head
from ..harness.site import JAVASCRIPT, make_attacked_site


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/docs\r\nSet-Cookie: evil=1", id="CR LF"),
        pytest.param("/docs\nSet-Cookie: evil=1", id="LF"),
        pytest.param("/docs\rSet-Cookie: evil=1", id="CR"),
        pytest.param("/docs%0d%0aSet-Cookie:%20evil=1", id="escaped"),
        pytest.param("/docs%250d%250aSet-Cookie:%20evil=1", id="escaped twice"),
        pytest.param("/docs?%0d%0aSet-Cookie:%20evil=1", id="escaped in the query"),
        pytest.param("/docs%E5%98%8D%E5%98%8ASet-Cookie:%20evil=1", id="cut to a byte it would be CR LF"),
    ],
)
async def test_no_part_of_a_request_becomes_a_header(site: Path, target: str) -> None:
    async with under_attack(make_attacked_site(site)) as attack:
        answer = await attack.ask(plain_head(target))
        assert answer.status in (308, 400, 404)
        assert "set-cookie" not in answer.headers
        assert b"evil" not in answer.body


app_js_head = partial(plain_head, "/app.js")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(app_js_head(content_length="5") + b"hello", 200, id="a body on GET"),
        pytest.param(app_js_head(content_length="9999999"), 200, id="a body announced and never sent"),
        pytest.param(app_js_head(transfer_encoding="chunked") + b"5\r\nhello\r\n0\r\n\r\n", 200, id="chunks on GET"),
        pytest.param(app_js_head(transfer_encoding="chunked") + b"zz\r\n", 200, id="invalid chunks"),
        pytest.param(app_js_head(transfer_encoding="chunked", content_length="5"), 400, id="two kinds of length"),
        pytest.param(app_js_head("Content-Length: 6", content_length="5"), 400, id="two lengths"),
        pytest.param(app_js_head(content_length="+5"), 400, id="a length with a sign"),
        pytest.param(app_js_head(content_length="9" * 5_000), 400, id="a length of 5,000 digits"),
        pytest.param(app_js_head(method="POST", content_length="1000000") + b"a" * 1_000_000, 405, id="a large body"),
        pytest.param(
            app_js_head(expect="100-continue", content_length="5"), 200, id="a body that waits for 100 Continue"
        ),
        pytest.param(app_js_head() + plain_head("/docs/guide.txt"), 200, id="a second request after the first"),
        pytest.param(app_js_head() * 1_000, 200, id="a thousand requests"),
        pytest.param(app_js_head() + head(), 200, id="an upgrade after a request"),
        pytest.param(app_js_head(*[f"A{n}: b" for n in range(5_000)]), 431, id="5,000 headers"),
        pytest.param(app_js_head(*[f"A{n}: b" for n in range(500)]), 431, id="500 headers"),
        pytest.param(app_js_head(": b"), 400, id="a header without a name"),
        pytest.param(app_js_head("A : b"), 400, id="a space before the colon"),
        pytest.param(app_js_head("A: b", " folded"), 200, id="a folded header"),
        pytest.param(app_js_head("A: b\x00c"), 400, id="NUL in a header"),
        pytest.param(app_js_head(if_none_match='"a",' * 3_000), 200, id="3,000 ETags"),
        pytest.param(app_js_head(if_none_match='W/"' * 4_000), 200, id="ETags that never end"),
        pytest.param(app_js_head(range="bytes=0-1,2-3,5-"), 200, id="ranges, which are not served"),
        pytest.param(plain_head("/" + "a" * 20_000), 431, id="a long path"),
        pytest.param(plain_head("/" + "%2e" * 5_000), 404, id="a path of 5,000 dots"),
        pytest.param(plain_head("/" + "a/" * 7_000), 404, id="a path of 7,000 folders"),
        pytest.param(plain_head("/docs?" + "a&" * 200), 400, id="many fields in the query"),
        pytest.param(app_js_head(method="get"), 405, id="a method in small letters"),
        pytest.param(app_js_head(method="A" * 10_000), 405, id="a long method"),
        pytest.param(app_js_head(method="G T"), 400, id="a method with a space"),
        pytest.param(b"GET /app.js\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(app_js_head(version="9.9"), 200, id="HTTP/9.9"),
    ],
)
async def test_a_bad_request_has_one_answer(
    site: Path, data: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with under_attack(make_attacked_site(site)) as attack:
        answer = await attack.ask(data)
        assert answer.status == status, answer
        assert len(answer.body) == int(answer.headers["content-length"])
        assert status != 200 or answer.body == JAVASCRIPT
    assert errors_of(caplog) == []
