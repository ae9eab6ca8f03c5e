"""A URL that a stranger chose leads to the public internet, in its one plain spelling, or nowhere."""

import pytest

from watchword.kernel.destination import Destination, Refusal, admits, destination

PUBLIC = (
    ("https://hooks.shop.example/otp", "hooks.shop.example", 443, "/otp"),
    ("https://hooks.shop.example", "hooks.shop.example", 443, "/"),
    ("https://Hooks.Shop.Example:8443/otp?tenant=shop", "hooks.shop.example", 8443, "/otp"),
    ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/"),
    ("https://8.8.8.8/otp", "8.8.8.8", 443, "/otp"),
    ("https://[2606:4700::1111]:443/otp", "2606:4700::1111", 443, "/otp"),
    ("https://1.2.3.4.example/", "1.2.3.4.example", 443, "/"),
    ("https://0x7f.example/", "0x7f.example", 443, "/"),
)

REFUSED = (
    # not a URL, or one that parsers read differently
    ("", Refusal.FORM),
    ("https://", Refusal.FORM),
    ("https:hooks.example", Refusal.FORM),
    ("//hooks.example/", Refusal.SCHEME),
    ("hooks.example", Refusal.FORM),
    ("https:///otp", Refusal.FORM),
    (" https://hooks.example/", Refusal.FORM),
    ("https://hooks.example/\n", Refusal.FORM),
    ("https://hooks\t.example/", Refusal.FORM),
    ("https://hooks.example\\@127.0.0.1/", Refusal.FORM),
    ("https://hooks.example/#@127.0.0.1", Refusal.FORM),
    ("https://bücher.example/", Refusal.FORM),
    ("https://127。0。0。1/", Refusal.FORM),
    ("https://①②⑦.0.0.1/", Refusal.FORM),
    ("https://hooks.example/" + "a" * 500, Refusal.FORM),
    ("https://[::1", Refusal.FORM),
    # schemes
    ("http://hooks.example/", Refusal.SCHEME),
    ("ftp://hooks.example/", Refusal.SCHEME),
    ("file:///etc/passwd", Refusal.FORM),
    ("gopher://hooks.example/", Refusal.SCHEME),
    ("wss://hooks.example/", Refusal.SCHEME),
    # users
    ("https://user@hooks.example/", Refusal.USER),
    ("https://user:word@hooks.example/", Refusal.USER),
    ("https://hooks.example@127.0.0.1/", Refusal.USER),
    ("https://@hooks.example/", Refusal.USER),
    # ports
    ("https://hooks.example:0/", Refusal.PORT),
    ("https://hooks.example:65536/", Refusal.PORT),
    ("https://hooks.example:https/", Refusal.FORM),
    ("https://hooks.example:/", Refusal.FORM),
    ("https://hooks.example:443:80/", Refusal.FORM),
    # names
    ("https://localhost/", Refusal.ADDRESS),
    ("https://LOCALHOST/", Refusal.ADDRESS),
    ("https://localhost./", Refusal.HOST),
    ("https://hooks.example./", Refusal.HOST),
    ("https://hooks..example/", Refusal.HOST),
    ("https://.example/", Refusal.HOST),
    ("https://-hooks.example/", Refusal.HOST),
    ("https://hooks%2eexample/", Refusal.HOST),
    ("https://%31%32%37.0.0.1/", Refusal.HOST),
    ("https://metadata/", Refusal.ADDRESS),
    ("https://metadata.google.internal/", Refusal.ADDRESS),
    ("https://kafka.default.svc/", Refusal.ADDRESS),
    ("https://kafka.default.svc.cluster.local/", Refusal.ADDRESS),
    ("https://printer.lan/", Refusal.ADDRESS),
    ("https://router.home.arpa/", Refusal.ADDRESS),
    ("https://app.localhost/", Refusal.ADDRESS),
    ("https://" + "a" * 64 + ".example/", Refusal.HOST),
    ("https://" + ".".join(["a" * 50] * 6) + "/", Refusal.HOST),
    # addresses in their own spelling
    ("https://127.0.0.1/", Refusal.ADDRESS),
    ("https://127.255.255.254/", Refusal.ADDRESS),
    ("https://0.0.0.0/", Refusal.ADDRESS),
    ("https://10.1.2.3/", Refusal.ADDRESS),
    ("https://172.16.0.1/", Refusal.ADDRESS),
    ("https://172.31.255.255/", Refusal.ADDRESS),
    ("https://192.168.1.1/", Refusal.ADDRESS),
    ("https://169.254.169.254/", Refusal.ADDRESS),
    ("https://100.64.0.1/", Refusal.ADDRESS),
    ("https://100.100.100.200/", Refusal.ADDRESS),
    ("https://168.63.129.16/", Refusal.ADDRESS),
    ("https://192.0.0.192/", Refusal.ADDRESS),
    ("https://198.18.0.1/", Refusal.ADDRESS),
    ("https://203.0.113.7/", Refusal.ADDRESS),
    ("https://224.0.0.1/", Refusal.ADDRESS),
    ("https://255.255.255.255/", Refusal.ADDRESS),
    ("https://[::]/", Refusal.ADDRESS),
    ("https://[::1]/", Refusal.ADDRESS),
    ("https://[fe80::1]/", Refusal.ADDRESS),
    ("https://[fec0::1]/", Refusal.ADDRESS),
    ("https://[fd00:ec2::254]/", Refusal.ADDRESS),
    ("https://[ff02::1]/", Refusal.ADDRESS),
    ("https://[2001:db8::1]/", Refusal.ADDRESS),
    ("https://[3fff::1]/", Refusal.ADDRESS),
    # one address inside another
    ("https://[::ffff:127.0.0.1]/", Refusal.ADDRESS),
    ("https://[::ffff:7f00:1]/", Refusal.ADDRESS),
    ("https://[::ffff:8.8.8.8]/", Refusal.ADDRESS),
    ("https://[::127.0.0.1]/", Refusal.ADDRESS),
    ("https://[64:ff9b::10.0.0.1]/", Refusal.ADDRESS),
    ("https://[64:ff9b:1::a00:1]/", Refusal.ADDRESS),
    ("https://[2002:7f00:1::]/", Refusal.ADDRESS),
    ("https://[2002:a9fe:a9fe::1]/", Refusal.ADDRESS),
    ("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", Refusal.ADDRESS),
    ("https://[2606:4700::5efe:10.0.0.1]/", Refusal.ADDRESS),
    ("https://[2606:4700::200:5efe:7f00:1]/", Refusal.ADDRESS),
    ("https://[fe80::1%25eth0]/", Refusal.FORM),
    ("https://[v1.fe80]/", Refusal.FORM),
    ("https://[hooks.example]/", Refusal.FORM),
    ("https://[8.8.8.8]/", Refusal.FORM),
    ("https://hooks[::1]/", Refusal.FORM),
    ("https://[::1].example/", Refusal.FORM),
    # addresses in the spellings that some libraries read
    ("https://2130706433/", Refusal.HOST),
    ("https://0x7f000001/", Refusal.HOST),
    ("https://0X7F000001/", Refusal.HOST),
    ("https://017700000001/", Refusal.HOST),
    ("https://0177.0.0.1/", Refusal.HOST),
    ("https://0x7f.0.0.1/", Refusal.HOST),
    ("https://127.1/", Refusal.HOST),
    ("https://127.0.1/", Refusal.HOST),
    ("https://127.0.0.1./", Refusal.HOST),
    ("https://127.0.0.01/", Refusal.HOST),
    ("https://127.0.0.0x1/", Refusal.HOST),
    ("https://0/", Refusal.HOST),
    ("https://0x/", Refusal.HOST),
    ("https://8.8.8.8./", Refusal.HOST),
    ("https://8.8.2056/", Refusal.HOST),
    ("https://1.2.3.4.5/", Refusal.HOST),
    ("https://256.1.1.1/", Refusal.HOST),
    ("https://hooks.1/", Refusal.HOST),
)


@pytest.mark.parametrize(("url", "host", "port", "path"), PUBLIC)
def test_a_public_https_url_is_called_where_it_says(url: str, host: str, port: int, path: str) -> None:
    found = destination(url)
    assert isinstance(found, Destination)
    assert (found.scheme, found.host, found.port, found.path) == ("https", host, port, path)


@pytest.mark.parametrize(("url", "why"), REFUSED, ids=lambda value: repr(value)[:40])
def test_every_other_url_is_refused_with_its_reason(url: str, why: Refusal) -> None:
    assert destination(url) is why


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/otp", "http://localhost:8080/", "http://[::1]:8080/", "https://127.0.0.1/"]
)
def test_this_machine_is_called_only_where_the_setting_allows_it(url: str) -> None:
    assert isinstance(destination(url, local=True), Destination)
    assert isinstance(destination(url), Refusal)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "http://8.8.8.8/",
        "https://10.0.0.1/",
        "http://192.168.1.1/",
        "https://169.254.169.254/",
        "http://2130706433/",
        "http://127.1/",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/",
        "http://app.localhost/",
        "http://user@127.0.0.1/",
    ],
)
def test_the_local_setting_lets_in_this_machine_and_nothing_else(url: str) -> None:
    assert isinstance(destination(url, local=True), Refusal)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("172.15.255.255", True),
        ("172.32.0.0", True),
        ("100.63.255.255", True),
        ("100.128.0.0", True),
        ("10.0.0.1", False),
        ("::ffff:8.8.8.8", False),
        ("64:ff9b::808:808", False),
        ("fe80::1%eth0", False),
        ("0177.0.0.1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_an_address_behind_a_name_is_held_to_the_same_rule(address: str, public: bool) -> None:
    assert admits(address) is public


def test_loopback_behind_a_name_is_let_in_by_the_local_setting_alone() -> None:
    assert admits("127.0.0.1", local=True)
    assert admits("::1", local=True)
    assert not admits("127.0.0.1")
    assert not admits("10.0.0.1", local=True)
