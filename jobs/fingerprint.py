"""What failures have in common: the sentence of each without its variable parts, so that like failures make a group.

These parts of a sentence become placeholders, wherever they stand:

- ``'…'``: what stands between two quotation marks of one kind
- ``URL``: addresses such as ``https://...`` and ``smtp://...``
- ``MAIL``: e-mail addresses
- ``PATH``: paths that begin with ``/``, ``./``, ``../``, ``~/`` or the letter of a drive, such as ``C:``
- ``ID``: UUIDs; addresses of memory, such as ``0x7f3a``; ids of eight or more hexadecimal digits, letters and figures
  mixed
- ``N``: numbers, with sign, fraction and exponent; also those in times, and those in words

All else stays. So two sentences with other words are two groups, also if they mean the same.
"""

import hashlib
import re
from typing import NamedTuple

#: Most characters of a pattern.
LONGEST = 200
#: Characters of a sentence that are looked at.
READ = 2000

_NO_PATH = r"\s'\"`,;:()\[\]{}<>|"
_PARTS = re.compile(
    rf"""
    # An apostrophe in a word is no quotation mark.
      (?P<quoted> (?<!\w) (?P<mark>['"`]) (?: \\. | (?!(?P=mark)) [^\\] )* (?P=mark) (?!\w) | “[^”]*” )
    | (?P<URL> (?<![A-Za-z0-9+.-]) [A-Za-z][A-Za-z0-9+.-]*:// [^\s'"`<>]* [^\s'"`<>.,;:!?)\]}}] )
    | (?P<MAIL> (?<![\w.+-]) [\w.+-]+ @ [\w-]+ (?: \.[\w-]+ )* )
    | (?P<PATH> (?<![\w./\\]) (?: ~?/ | \.\.?/ | [A-Za-z]:[\\/] ) [^{_NO_PATH}]* [^{_NO_PATH}.!?] )
    | (?P<ID> (?<![^\W_]) (?:
          0x[0-9a-fA-F]+
        | [0-9a-fA-F]{{8}} (?: -[0-9a-fA-F]{{4}} ){{3}} -[0-9a-fA-F]{{12}}
        | (?=[0-9]*[a-fA-F]) (?=[a-fA-F]*[0-9]) [0-9a-fA-F]{{8,}}
      ) (?![^\W_]) )
    | (?P<N> (?: (?<!\w)[-+] )? \d+ (?: [.,:]\d+ )* (?: [eE][-+]?\d+ )? )
    """,
    re.VERBOSE,
)


class Fingerprint(NamedTuple):
    """What a failure shares with others of its group."""

    #: 16 hexadecimal digits.
    key: str
    #: The sentence with placeholders, at most :data:`LONGEST` characters.
    message: str


def fingerprint(task_type: str, sentence: str) -> Fingerprint:
    """Return the fingerprint of a job of that kind that failed with that sentence."""
    message = pattern(sentence)
    digest = hashlib.sha256(f"{task_type}\n{message}".encode("utf-8", "replace"))
    return Fingerprint(digest.hexdigest()[:16], message)


def pattern(sentence: str) -> str:
    """Return a sentence with placeholders for its variable parts, at most :data:`LONGEST` characters."""
    text = " ".join(_PARTS.sub(_placeholder, sentence[:READ]).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _placeholder(found: re.Match[str]) -> str:
    name = str(found.lastgroup)
    return f"{found[0][0]}…{found[0][-1]}" if name == "quoted" else name
