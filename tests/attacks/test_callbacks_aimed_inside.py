"""Callbacks aimed inside: an endpoint is somebody's wish where we shall call, and some wish for our own network.

Every spelling of every private address, as a property: tests/laws/test_no_private_destination.py. Names that lead
inside, names that change their mind between look-up and call (rebinding), redirects, proxies, endless answers:
tests/pipeline/test_callbacks_calls.py. Here: an operator who is handed such an address cannot apply it.
"""

from pathlib import Path

import pytest

from watchword.gateways.catalog import ALL
from watchword.kernel.destination import Destination, Refusal, destination
from watchword.runtime.configuration_file import ConfigurationError, read

INSIDE = [
    "http://hooks.shop.example/otp",
    "https://127.1/otp",
    "https://2130706433/otp",
    "https://0x7f000001/otp",
    "https://0x7f.0.0.1/otp",
    "https://017700000001/otp",
    "https://0/otp",
    "https://10.0.0.1/otp",
    "https://192.168.0.1./otp",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/machine",
    "https://100.64.0.1/otp",
    "https://[::]/otp",
    "https://[::ffff:127.0.0.1]/otp",
    "https://[::ffff:7f00:1]/otp",
    "https://[64:ff9b::7f00:1]/otp",
    "https://[2002:7f00:1::]/otp",
    "https://[fe80::1%25eth0]/otp",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://user:password@hooks.shop.example/otp",
    "https://hooks.shop.example@127.0.0.1/otp",
    "https://127.0.0.1\\@hooks.shop.example/otp",
    "https://hooks.shop.example#@127.0.0.1/otp",
    "https://hooks.shop.example:0/otp",
    "https://hooks.shop.example:99999/otp",
    "https://postgres/otp",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://kafka.watchword.svc/otp",
    "https://printer.local/otp",
    "https://\u2460\u2461\u2466.0.0.1/otp",
    "https://\uff11\uff12\uff17.0.0.1/otp",
    "https://127\u30020\u30020\u30021/otp",
    "https://hooks.shop.example/otp\r\nHost: inside",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://hooks.shop.example/otp",
    "javascript:alert(1)",
    "//hooks.shop.example/otp",
    "https:hooks.shop.example/otp",
    "https:///otp",
    "https://",
]
# A laptop may call itself; elsewhere each of these is refused when it is to be called.
THIS_MACHINE = ["https://localhost/otp", "https://127.0.0.1/otp", "https://[::1]/otp", "http://localhost/otp"]
ENDPOINT = """
[[tenants]]
id = "shop"
countries = ["IN"]

[[endpoints]]
id = "hooks"
tenant = "shop"
url = '''{url}'''
secrets = ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"]
"""


@pytest.mark.parametrize("url", INSIDE)
def test_an_address_inside_cannot_be_applied(tmp_path: Path, url: str) -> None:
    file = tmp_path / "endpoint.toml"
    file.write_text(ENDPOINT.format(url=url), "utf-8", newline="")
    with pytest.raises(ConfigurationError, match=r"hooks|TOML"):
        read(file, gateways=frozenset(ALL))


@pytest.mark.parametrize("url", THIS_MACHINE)
def test_this_machine_is_called_by_laptops_alone(url: str) -> None:
    assert isinstance(destination(url), Refusal)
    assert isinstance(destination(url, local=True), Destination)


def test_an_address_outside_can(tmp_path: Path) -> None:
    """What is refused above is refused for its address and for nothing else."""
    file = tmp_path / "endpoint.toml"
    file.write_text(ENDPOINT.format(url="https://hooks.shop.example/otp"), "utf-8")
    assert [each.id for each in read(file, gateways=frozenset(ALL)).endpoints] == ["hooks"]
