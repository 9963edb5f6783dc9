"""Reading the server name: cut anywhere, in any record, hostile or not, and nothing on standard error."""

from __future__ import annotations

import ssl
import subprocess
import sys
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate_p2p.https.client_hello import MAX_HELLO, UNRECOGNIZED_NAME, ClientHello, HelloError

NAME = "abc.example"


@cache
def hello(name: str | None = NAME, version: ssl.TLSVersion | None = None, protocols: int = 0) -> bytes:
    """A ClientHello as OpenSSL writes it; `protocols`: how many make it longer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if protocols:
        context.set_alpn_protocols([f"protocol-{number:05}" for number in range(protocols)])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def message(records: bytes) -> bytes:
    """The handshake message that the records carry."""
    found = b""
    while records:
        size = int.from_bytes(records[3:5], "big")
        found, records = found + records[5 : 5 + size], records[5 + size :]
    return found


def record(part: bytes) -> bytes:
    return b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part


def named(name: bytes) -> bytes:
    """A ClientHello with this name, whatever it is, in place of NAME."""
    body = bytearray(message(hello()))
    at = body.index(NAME.encode())
    body[at : at + len(NAME)] = name
    extensions = 4 + 2 + 32
    extensions += 1 + body[extensions]
    extensions += 2 + int.from_bytes(body[extensions : extensions + 2], "big")
    extensions += 1 + body[extensions]
    for offset, size in ((1, 3), (extensions, 2), (at - 7, 2), (at - 5, 2), (at - 2, 2)):
        length = int.from_bytes(body[offset : offset + size], "big") + len(name) - len(NAME)
        body[offset : offset + size] = length.to_bytes(size, "big")
    return record(bytes(body))


def read(data: bytes) -> str | None:
    return ClientHello().feed(data)


@pytest.mark.parametrize("version", [None, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_name_is_read(version: ssl.TLSVersion | None) -> None:
    assert read(hello(version=version)) == NAME


@pytest.mark.parametrize("name", [b"ABC.example", b"abc.example.", b"Abc.EXAMPLE."])
def test_case_and_a_final_dot_mean_nothing(name: bytes) -> None:
    assert read(named(name)) == NAME


def test_the_longest_name_that_may_belong_to_a_peer() -> None:
    name = f"{'a' * 61}." * 3 + "b" * 51
    assert len(name) == 237
    assert read(named(name.encode())) == name


@pytest.mark.parametrize(
    "name",
    [
        *(b"", b".", b"single", b"a..example", b".example", b"abc.example..", b"-a.example", b"a_b.example"),
        *(b"127.0.0.1", b"::1", b"[::1]", b"*.example", b"_acme-challenge.example", b"a b.example"),
        *(b"abc\x00.example", b"abc.exam\xffple", "käse.example".encode(), "\u212aelvin.example".encode()),
        *(b"a.example\n", b"\x1b[31m.example", b"a" * 64 + b".example", b"a." * 127 + b"b", b"a" * 300),
    ],
)
def test_what_is_no_host_name_belongs_to_nobody_and_says_nothing(
    name: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(HelloError) as caught:
        read(named(name))
    assert not caught.value.alert or caught.value.alert[:1] == b"\x15"
    assert caught.value.args[0].isascii()
    assert capfd.readouterr() == ("", "")


def test_a_name_that_is_not_ascii_stays_off_standard_error_in_a_process_too() -> None:
    program = (
        "import sys; from gate_p2p.https import ClientHello, HelloError\n"
        "try: ClientHello().feed(sys.stdin.buffer.read())\n"
        "except HelloError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=named(b"k\xe4se.example"), capture_output=True, check=True
    )
    assert done.stderr == b""
    assert done.stdout.decode().strip() == "no ClientHello that can be read"


def test_no_name_is_told_by_an_alert() -> None:
    with pytest.raises(HelloError, match="without a server name") as caught:
        read(hello(name=None))
    assert caught.value.alert == UNRECOGNIZED_NAME


@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\n", b"G", b"SSH-2.0-x\r\n", b"\x80\x2e\x01", b"\x15\x03", b"\0"]
)
def test_what_is_no_tls_is_refused_at_its_first_byte(start: bytes) -> None:
    with pytest.raises(HelloError, match="no TLS") as caught:
        read(start)
    assert caught.value.alert == b""


def test_every_prefix_of_a_hello_is_not_enough_yet() -> None:
    for size in range(len(hello())):
        assert read(hello()[:size]) is None


def test_a_hello_of_16384_bytes_is_read() -> None:
    data = hello(protocols=1060)
    assert 16_000 < len(data) < 16_384
    assert read(data) == NAME


def test_more_than_the_bound_is_refused() -> None:
    reader = ClientHello()
    endless = b"".join(record(bytes([byte])) for byte in b"\x01\0\x3f\0" + bytes(16_000))
    assert len(endless) > MAX_HELLO
    assert reader.feed(endless[:40_000]) is None
    with pytest.raises(HelloError, match="too long"):
        reader.feed(endless[40_000:])


@given(st.data())
def test_any_cut_into_records_and_segments_gives_the_name_and_keeps_every_byte(data: st.DataObject) -> None:
    def cut(whole: bytes, most: int) -> list[bytes]:
        places = data.draw(st.lists(st.integers(1, len(whole) - 1), max_size=most, unique=True))
        ends = [*sorted(places), len(whole)]
        return [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    records = b"".join(record(part) for part in cut(message(hello()), 6))
    early = data.draw(st.binary(max_size=40))
    reader, found = ClientHello(), None
    segments = cut(records + early, 12)
    while found is None:
        found = reader.feed(segments.pop(0))
    assert found == NAME
    assert (records + early).startswith(bytes(reader.received))


@given(
    st.lists(st.tuples(st.integers(0, 516), st.integers(0, 255)), min_size=1, max_size=8), st.integers(0, 600)
)
def test_mutations_raise_nothing_but_the_modules_own_error(changes: list[tuple[int, int]], size: int) -> None:
    data = bytearray(hello())
    for place, value in changes:
        data[place % len(data)] = value
    name: str | None = None
    alert = b""
    try:
        name = read(bytes(data[:size]))
    except HelloError as error:
        alert = error.alert
    assert name is None or name.isascii()
    assert alert == b"" or (alert[0], len(alert)) == (0x15, 7)


def test_other_peoples_unraisable_errors_keep_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    hook = sys.unraisablehook
    with pytest.raises(HelloError):
        read(named(b"k\xe4se.example"))
    assert seen == []
    assert sys.unraisablehook is hook
