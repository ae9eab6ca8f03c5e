"""The pages a person looks at: no script, nothing from elsewhere, and every text escaped."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from watchword.simulator.world import Sms

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
REFRESH_S = 2
_STYLE = """
body{margin:0;background:#e9ecef;font:16px/1.4 system-ui,sans-serif;color:#1c1f23}
main{max-width:24rem;margin:2rem auto;padding:1.2rem;background:#fff;border-radius:1.6rem;border:.5rem solid #1c1f23}
h1{font-size:1rem;text-align:center;margin:.2rem 0 1rem}
article{background:#e6f0ff;border-radius:1rem;padding:.6rem .9rem;margin:.6rem 0;overflow-wrap:anywhere}
p{margin:0;white-space:pre-wrap}small{color:#59636e}ul{padding-left:1.2rem}a{color:#0b57d0}
"""


def phone(number: str, inbox: Sequence[Sms]) -> str:
    """The screen of one phone, newest message on top; it refreshes itself."""
    shown = "".join(_bubble(sms) for sms in reversed(inbox)) or "<p>No messages yet.</p>"
    return _page(number, f"<h1>{escape(number)}</h1>{shown}")


def _bubble(sms: Sms) -> str:
    told = f"{sms.sender or 'unknown sender'} · {sms.carrier} · {sms.time:%H:%M:%S} UTC"
    return f"<article><p>{escape(sms.text)}</p><small>{escape(told)}</small></article>"


def index(carriers: Sequence[str], numbers: Sequence[str]) -> str:
    """What there is to look at: the carriers, and the phones that got a message last."""
    phones = "".join(_link(f"/phones/{quote(number)}/page", number) for number in numbers) or "<li>none yet</li>"
    listed = "".join(_link(f"/carriers/{quote(name)}", name) for name in carriers)
    body = f"<h1>Carrier simulator</h1><h2>Carriers</h2><ul>{listed}</ul><h2>Phones</h2><ul>{phones}</ul>"
    return _page("Carrier simulator", f'{body}<p><a href="/ledger">ledger</a></p>')


def _link(target: str, text: str) -> str:
    return f'<li><a href="{escape(target)}">{escape(text)}</a></li>'


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{REFRESH_S}">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    )
