"""What this machine itself brings: schemas, keys, and doors that keep secrets."""

from collections.abc import Mapping
from pathlib import Path

from watchword.contracts import lock
from watchword.operations.finding import Finding, ill, or_well, well
from watchword.runtime.access import networks, refuse_open_plaintext
from watchword.runtime.keyring import KeyringError, Purpose, facts
from watchword.runtime.settings import RuntimeSettings, SettingsError
from watchword.runtime.tls import Tls


def schemas(folder: Path) -> list[Finding]:
    """Whether every published file is what it was when it was published."""
    try:
        differs = lock.drift(folder)
    except (OSError, ValueError) as error:
        return [ill("schemas", f"the lock cannot be read: {error}", "install this version again")]
    broken = [
        ill("schemas", f"{word} since it was published", "put it back as it was; a change is a new version", path)
        for word, paths in (("changed", differs.changed), ("gone", differs.missing))
        for path in paths
    ]
    broken += [ill("schemas", "not locked", "`watchword schemas lock`", path) for path in differs.added]
    return or_well(broken, well("schemas", f"{len(lock.locked(folder))} published files are as they were"))


def keyring(path: str, parts: Mapping[str, frozenset[Purpose]]) -> list[Finding]:
    """Whether the keyring can be read, and is either a whole one or the part of one of `parts`: purposes by process.

    Only what a whole keyring lacks wants a new key. A key made in a part would open nothing that others seal.
    """
    try:
        held = frozenset(key.purpose for key in facts(Path(path)))
    except KeyringError as error:
        told, _, fix = str(error).partition("; ")
        return [ill("keyring", told, fix or "see the message")]
    whole = frozenset(Purpose)
    if held == whole:
        return [well("keyring", f"a key for each of {len(whole)} purposes")]
    if owners := sorted(name for name, purposes in parts.items() if purposes == held):
        return [well("keyring", f"what {' or '.join(owners)} may hold: {', '.join(sorted(held)) or 'no key'}")]
    fix = (
        f"in the whole keyring `watchword keys rotate {path} --purpose {{}}`; a process's part of it is dealt again by "
        "`watchword blueprint keyrings`"
    )
    return [ill("keyring", "no key", fix.format(purpose), str(purpose)) for purpose in sorted(whole - held)]


def doors(settings: RuntimeSettings) -> list[Finding]:
    """Whether the doors that these settings describe keep codes and keys from the network."""
    try:
        tls = Tls.of(settings)
        Tls.of_operations(settings, tls)
        refuse_open_plaintext(settings.http_host, tls=tls is not None, trusted=networks(settings.trusted_proxies))
    except SettingsError as error:
        told, _, fix = str(error).partition(". ")
        return [ill("doors", told, fix)]
    way = "HTTPS" if tls else f"plaintext for {', '.join(settings.trusted_proxies) or 'this machine alone'}"
    return [well("doors", f"{settings.http_host}: {way}")]
