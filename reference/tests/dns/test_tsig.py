"""TSIG keys as the DNS servers' tools write them."""

from __future__ import annotations

import pytest

from gate_p2p.dns.tsig import TsigKey, read_tsig_key

SECRET = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="
KEY = TsigKey("acmekey", "hmac-sha256", b"1" * 32)

BIND = f"""
key "acmekey" {{
    algorithm hmac-sha256;
    secret "{SECRET}";
}};
"""
KNOT = f"""# hmac-sha256:acmekey:{SECRET}
key:
  - id: acmekey
    algorithm: hmac-sha256
    secret: {SECRET}
"""


@pytest.mark.parametrize(
    "text",
    [
        BIND,
        KNOT,
        f"hmac-sha256:acmekey:{SECRET}\n",
        f"key acmekey {{ algorithm HMAC-SHA256; secret {SECRET}; }};",
        f'- id: "acmekey"\n  secret: "{SECRET}"\n  algorithm: "hmac-sha256"',
    ],
)
def test_a_key_is_read_from_each_form(text: str) -> None:
    assert read_tsig_key(text) == KEY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no TSIG key"),
        (SECRET, "holds no TSIG key"),
        (BIND + BIND, "2 TSIG keys"),
        (KNOT + f"  - id: other\n    algorithm: hmac-sha256\n    secret: {SECRET}\n", "2 TSIG keys"),
        (f"key a {{ secret {SECRET}; }};", "lacks an algorithm"),
        (f"hmac-sha257:a:{SECRET}", "none of hmac-sha1"),
        ("hmac-sha256:a:AAA", "no base64"),
    ],
)
def test_what_is_no_key_is_an_error_without_the_secret(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        read_tsig_key(text)
    assert SECRET not in str(caught.value)


def test_the_secret_is_in_no_text_of_the_key() -> None:
    assert "111" not in repr(KEY)
    assert "111" not in str(KEY)
    assert SECRET not in repr(KEY)
