"""Marks that word processors put into texts, and that turn a cheap message into a dear one unseen.

One curly quote makes a text of 160 characters three messages of 70. Each mark here has a plain one that says the same;
letters are never replaced, for that would misspell a name.
"""

from collections.abc import Mapping

from watchword.kernel.gsm7 import is_gsm7

_PLAIN: Mapping[str, str] = {
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u2032": "'", "\u00b4": "'", "`": "'",
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"', "\u2033": '"', "\u00ab": '"', "\u00bb": '"',
    "\u2039": "'", "\u203a": "'",
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-", "\u2212": "-",
    "\u2026": "...", "\u2022": "-", "\u00b7": "-",
    "\u00a0": " ", "\u2002": " ", "\u2003": " ", "\u2007": " ", "\u2009": " ", "\u200a": " ", "\u202f": " ",
    "\t": " ", "\u2028": "\n", "\u2029": "\n",
    "\u00ad": "", "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "",
}  # fmt: skip
_TABLE = str.maketrans(dict(_PLAIN))


def plain(text: str) -> str:
    """The text with its typographic marks made plain, if that brings it into GSM 7-bit; else the text as it is,
    because a text that needs UCS-2 anyhow gains nothing (and some scripts need the joiners)."""
    if is_gsm7(text):
        return text
    replaced = text.translate(_TABLE)
    return replaced if is_gsm7(replaced) else text


def replacements(text: str) -> list[str]:
    """What `plain` replaces in `text`, as "U+2019 by '", each once, in the order of the text; [] where nothing."""
    if plain(text) == text:
        return []
    found = dict.fromkeys(letter for letter in text if letter in _PLAIN and not is_gsm7(letter))
    return [f"U+{ord(letter):04X} by {_shown(_PLAIN[letter])}" for letter in found]


def outsiders(text: str) -> list[str]:
    """The characters that make the text UCS-2, each once, at most five; [] where there is none."""
    return [f"{letter!r}" for letter in dict.fromkeys(text) if not is_gsm7(letter)][:5]


def _shown(letter: str) -> str:
    return {"": "nothing", " ": "a space", "\n": "a line break"}.get(letter, letter)
