"""Where webhooks may go: URLs when they are written, addresses when a connection is made."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.webhooks.addresses import AddressRefused, GuardedBackend, Reach, UrlRefused, resolve
from benchmarks.receiver import Receiver

REFUSED = [
    "0.0.0.0",  # noqa: S104  - nothing binds to it here
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2600::1%eth0",
    "fec0::1",
    "ff02::1",
]
ALLOWED = ["8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "2600::1", "2a00:1450::5"]


@pytest.mark.parametrize("text", REFUSED)
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    assert not Reach().allows(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ALLOWED)
def test_a_public_address_is_allowed(text: str) -> None:
    assert Reach().allows(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_whatever_python_calls_private_is_refused(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if address.is_private or address.is_multicast or address.is_link_local or address.is_reserved:
        assert not Reach().allows(address)


@given(st.ip_addresses(v=4))
def test_no_spelling_in_ipv6_reaches_an_ipv4_address(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for prefix in ("::", "::ffff:0:0", "64:ff9b::", "64:ff9b:1::"):
        assert not Reach().allows(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + number))
    assert not Reach().allows(ipaddress.IPv6Address((0x2002 << 112) + (number << 80)))


def test_what_the_settings_name_is_allowed_and_no_more() -> None:
    reach = Reach((ipaddress.ip_network("10.2.0.0/16"), ipaddress.ip_network("fd00:1::/32")))
    for text, allowed in (("10.2.3.4", True), ("10.3.0.1", False), ("fd00:1::9", True), ("fd00:2::9", False)):
        assert reach.allows(ipaddress.ip_address(text)) is allowed
    assert not reach.allows(ipaddress.ip_address("127.0.0.1"))
    here = Reach(loopback=True)
    assert here.allows(ipaddress.ip_address("127.0.0.1"))
    assert here.allows(ipaddress.ip_address("::1"))
    assert not here.allows(ipaddress.ip_address("10.2.3.4"))
    assert not here.allows(ipaddress.ip_address("::ffff:127.0.0.1"))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://receiver.example", "https://receiver.example/"),
        ("HTTPS://Receiver.Example:443/a?b=c", "https://receiver.example/a?b=c"),
        ("https://receiver.example:8443/hook", "https://receiver.example:8443/hook"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2600::1]/", "https://[2600::1]/"),
    ],
)
def test_a_url_is_kept_in_one_spelling(text: str, kept: str) -> None:
    assert Reach().url(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "receiver.example",
        "/hook",
        "http://receiver.example/",
        "http://localhost/",
        "ftp://receiver.example/",
        "file:///etc/passwd",
        "unix:///run/x.sock",
        "javascript:alert(1)",
        "https://",
        "https://user@receiver.example/",
        "https://user:" + "word@receiver.example/",
        "https://receiver.example/#part",
        "https://receiver.example:0/",
        "https://receiver.example:99999/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://①②⑦.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://169.254.169.254/latest/meta-data",
        "https://receiver.example/" + "a" * 2000,
        "https://receiver.example/" + "ü" * 700,
    ],
)
def test_a_url_that_nothing_is_sent_to_is_refused(text: str) -> None:
    with pytest.raises(UrlRefused) as caught:
        Reach().url(text)
    assert "receiver.example" not in str(caught.value)


def test_http_is_for_this_machine_and_by_a_setting() -> None:
    here = Reach(loopback=True)
    for text in ("http://127.0.0.1:9/", "http://localhost:9/", "http://[::1]:9/", "https://127.0.0.1:9/"):
        assert here.url(text) == text
    for text in ("http://receiver.example/", "http://10.0.0.1/", "http://localhost.example/"):
        with pytest.raises(UrlRefused):
            here.url(text)
    with pytest.raises(UrlRefused):
        Reach((ipaddress.ip_network("10.0.0.0/8"),)).url("http://10.0.0.1/")


class Names:
    """A resolver whose answers change from one question to the next."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def connected(backend: GuardedBackend, host: str, port: int) -> str:
    """The address that a connection went to."""
    stream = await backend.connect_tcp(host, port, timeout=5)
    address: str = stream.get_extra_info("server_addr")[0]
    await stream.aclose()
    return address


async def test_a_connection_goes_to_the_very_address_that_was_checked() -> None:
    async with Receiver.listening() as receiver:
        names = Names(["127.0.0.1"], ["10.0.0.1"])
        backend = GuardedBackend(Reach(loopback=True), names)
        assert await connected(backend, "receiver.example", receiver.port) == "127.0.0.1"
        assert names.asked == 1, "asked a second time it would have had another answer"
        with pytest.raises(AddressRefused):
            await backend.connect_tcp("receiver.example", receiver.port, timeout=5)
        await asyncio.sleep(0)
        assert receiver.got == []


@pytest.mark.parametrize("text", [*REFUSED, "not an address", ""])
async def test_a_name_that_leads_inside_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused):
        await GuardedBackend(Reach(), Names([text])).connect_tcp("receiver.example", 1, timeout=5)


async def test_of_several_addresses_only_those_allowed_are_tried_and_the_next_if_one_is_dead() -> None:
    async with Receiver.listening("127.0.0.2") as receiver:
        backend = GuardedBackend(Reach(loopback=True), Names(["10.0.0.1", "127.0.0.1", "127.0.0.2"]))
        assert await connected(backend, "receiver.example", receiver.port) == "127.0.0.2"
    with pytest.raises(httpcore.ConnectError):
        await backend.connect_tcp("receiver.example", receiver.port, timeout=5)


async def test_an_address_in_the_url_itself_is_checked_and_not_looked_up() -> None:
    names = Names(["8.8.8.8"])
    for host in ("127.0.0.1", "::1", "169.254.169.254"):
        with pytest.raises(AddressRefused):
            await GuardedBackend(Reach(), names).connect_tcp(host, 1, timeout=5)
    with pytest.raises(AddressRefused):
        await GuardedBackend(Reach(loopback=True), names).connect_unix_socket("/run/x.sock")
    assert names.asked == 0


async def test_a_name_that_nobody_knows() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError

    with pytest.raises(httpcore.ConnectError):
        await GuardedBackend(Reach(), unknown).connect_tcp("receiver.example", 1, timeout=5)
    assert await resolve("localhost", 1)
