"""C{hatwist install-service}: the unit and the manual pages, where systemd and man look for them."""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("twistd", "hatwist")
"""What the unit starts."""
WRITTEN_FOR = "/opt/hatwist/bin/"
"""Where the unit, as it is shipped, expects them."""
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What the unit's ProtectHome= and PrivateTmp= keep the service from."""
UNITS, MANUALS = "etc/systemd/system", "usr/local/share/man"


class InstalledFile(NamedTuple):
    """
    @ivar source: in a checkout, and the end of the path where it is installed.
    @ivar target: below the root of the system.
    """

    source: str
    shipped: str
    target: str


UNIT = InstalledFile(
    "examples/systemd/hatwist.service",
    "share/doc/hatwist/examples/systemd/hatwist.service",
    f"{UNITS}/hatwist.service",
)


def _dropIn(name: str) -> InstalledFile:
    source = f"examples/systemd/{name}"
    return InstalledFile(source, f"share/doc/hatwist/{source}", f"{UNITS}/hatwist.service.d/{name}")


ROOT, REALTIME = _dropIn("root.conf"), _dropIn("realtime.conf")
PAGES = tuple(
    InstalledFile(
        f"docs/man/{page}", f"share/man/man{page[-1]}/{page}", f"{MANUALS}/man{page[-1]}/{page}"
    )
    for page in ("hatwist.1", "hatwist.toml.5")
)


class CannotInstall(Exception):
    """The text says why."""


def addInstallService(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    install = commands.add_parser(
        "install-service",
        help="write the unit for systemd and the manual pages for this installation",
        description=(
            "Write the unit for systemd, with the paths of this installation, and the manual pages: "
            f"/{UNITS}/hatwist.service, and below /{MANUALS}. Nothing is started, and nothing else is changed."
        ),
        epilog=(
            "Exit status: 0 when all of them are there, 1 when one could not be written, with the reason. A file "
            "that is there and differs is left as it is unless --force is given, and then nothing is written."
        ),
    )
    install.add_argument(
        "--root",
        action="store_true",
        help="also the drop-in with which it runs as root: for an alias, or a command that needs root",
    )
    install.add_argument(
        "--realtime",
        action="store_true",
        help="also the drop-in with the limits that realtime = true takes",
    )
    install.add_argument(
        "--destdir", default="/", metavar="DIR", help="write below this directory (/)"
    )
    install.add_argument(
        "--force", action="store_true", help="replace a file that is there and differs"
    )
    install.add_argument(
        "--dry-run", action="store_true", help="only tell which files would be written"
    )
    install.set_defaults(run=_install)


def _install(options: argparse.Namespace, arguments: list[str]) -> int:
    try:
        more = [
            file for file, asked in ((ROOT, options.root), (REALTIME, options.realtime)) if asked
        ]
        wanted = list(_wanted(programs(), more))
        there = [_current(options.destdir, target) for target, _ in wanted]
        for (target, text), old in zip(wanted, there, strict=True):
            if old not in (None, text) and not options.force:
                path = os.path.join(options.destdir, target)
                raise CannotInstall(
                    f"{path} is there, and differs: --force replaces it; what is your own belongs into a "
                    "drop-in (systemctl edit hatwist)"
                )
        for (target, text), old in zip(wanted, there, strict=True):
            path = os.path.join(options.destdir, target)
            if old == text:
                print(f"{path}: is there already")
            elif options.dry_run:
                print(f"{path}: would be written")
            else:
                _write(path, text)
                print(f"{path}: written")
    except CannotInstall as e:
        print(f"hatwist: {e}", file=sys.stderr)
        return 1
    if not options.dry_run:
        print("Then: systemctl daemon-reload && systemctl enable --now hatwist")
    return 0


def programs() -> str:
    """
    The directory of twistd and hatwist of this installation.

    @raise CannotInstall: they are nowhere, or where the service may not read.
    """
    # Where pip puts programs; and, of "pip install --user", where the command that runs is.
    scripts, own = sysconfig.get_path("scripts"), os.path.dirname(os.path.abspath(sys.argv[0]))
    for directory in (scripts, own):
        if all(os.access(os.path.join(directory, name), os.X_OK) for name in PROGRAMS):
            break
    else:
        raise CannotInstall(f"neither {scripts} nor {own} has both twistd and hatwist")
    return directory


def _wanted(directory: str, dropIns: Sequence[InstalledFile]) -> Iterator[tuple[str, str]]:
    """Path and text of each file."""
    real = os.path.realpath(directory)
    if hidden := [path for path in HIDDEN if Path(real).is_relative_to(path)]:
        print(
            f"hatwist: warning: the service may not read {directory}: the unit hides {hidden[0]} from it "
            "(ProtectHome=, PrivateTmp=); install hatwist into /opt/hatwist, say",
            file=sys.stderr,
        )
    yield UNIT.target, _text(UNIT).replace(WRITTEN_FOR, f"{directory}/")
    for file in (*dropIns, *PAGES):
        yield file.target, _text(file)


def _text(file: InstalledFile) -> str:
    """What is shipped, by a checkout or by pip."""
    checkout = Path(__file__).parents[3] / file.source
    if checkout.is_file():
        return checkout.read_text("utf-8")
    try:
        for entry in metadata.distribution("hatwist").files or ():
            if entry.as_posix().endswith(file.shipped):
                return Path(str(entry.locate())).read_text("utf-8")
    except (metadata.PackageNotFoundError, OSError):
        pass
    raise CannotInstall(f"this installation of hatwist has no {file.shipped}; install it anew")


def _current(root: str, target: str) -> str | None:
    path = os.path.join(root, target)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as e:
        raise CannotInstall(f"{path}: {getattr(e, 'strerror', None) or e}") from None


def _write(path: str, text: str) -> None:
    """Whole or not at all: systemd may read it at any time."""
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        os.replace(f"{path}.new", path)
    except OSError as e:
        raise CannotInstall(f"{path}: {e.strerror}") from None
