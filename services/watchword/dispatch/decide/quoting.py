"""A provider may quote the message it refuses. Pure: what it says is kept without the code and the number in it."""

import re
from typing import Final

from watchword.gateways.contract import Message

BLOT: Final = "#"
_NUMBER_DIGITS_MIN: Final = 7  # the end of a number, in whichever country's form it is quoted
_NO_DIGIT: Final = re.compile("[^0-9]+")
_BETWEEN: Final = "[^0-9A-Za-z]{0,3}"


def unquoted(word: str, message: Message) -> str:
    """`word` without the code and the number of `message`, whatever punctuation they are written with."""
    said = _digits(word)
    code, number = _digits(message.variables.get("code", "")), _digits(message.to)[-_NUMBER_DIGITS_MIN:]
    if code and code in said:
        word = re.sub(f"(?<![0-9]){_BETWEEN.join(code)}(?![0-9])", BLOT, word)
    if number and number in said:
        word = re.sub(f"(?:[0-9]{_BETWEEN})*{_BETWEEN.join(number)}", BLOT, word)
    return word


def _digits(text: str) -> str:
    return _NO_DIGIT.sub("", text)
