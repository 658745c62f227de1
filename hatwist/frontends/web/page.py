"""The page that shows the cluster: one file, with what it may run and load named by hash."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent


class Page:
    """
    @ivar body: the page, self-contained, UTF-8.
    @ivar policy: the Content-Security-Policy under which it works, and nothing else does.
    """

    def __init__(self) -> None:
        style, script = (_read(name) for name in ("page.css", "page.js"))
        page = _read("page.html")
        self.body = page.replace("{style}", style).replace("{script}", script).encode()
        self.policy = "; ".join(
            (
                "default-src 'none'",
                f"style-src '{_hash(style)}'",
                f"script-src '{_hash(script)}'",
                "connect-src 'self'",
                "img-src data:",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            )
        )


def _read(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
