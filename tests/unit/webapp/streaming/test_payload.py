"""Events as the standard for Server-Sent Events wants them."""

import time
import zlib

import pytest
from webapp.streaming.payload import GZIP_HEADER, Payload, event


def test_an_event_has_a_time_as_id_its_name_and_each_line_of_its_data() -> None:
    before = int(time.time() * 1000)
    number, *rest = event("jobs", "one\ntwo").decode().split("\n")
    assert rest == ["event: jobs", "data: one", "data: two", "", ""]
    assert before <= int(number.removeprefix("id: ")) <= time.time() * 1000


@pytest.mark.parametrize("first", [0, 1, 2])
def test_compressed_payloads_fit_behind_each_other_from_any_of_them_on(first: int) -> None:
    payloads = [Payload(event("jobs", text)) for text in ("same text", "same text", "ünlike text " * 1000)]
    stream = GZIP_HEADER + b"".join(payload.compressed for payload in payloads[first:])
    text = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(stream)
    assert text == b"".join(payload.plain for payload in payloads[first:])


def test_a_payload_is_compressed_once() -> None:
    payload = Payload(b"text")
    assert payload.compressed is payload.compressed
