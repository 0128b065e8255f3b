"""What the texts of a statement say by their form: a place, a total, a footer, a remark."""

from __future__ import annotations

import re
from functools import lru_cache

STATES = frozenset(
    re.findall(
        "..",
        "ALAKAZARCACOCTDEFLGAHIIDILINIAKSKYLAMEMDMAMIMNMSMOMTNENVNHNJNMNYNCNDOHOKORPARISCSDTNTXUTVTVAWAWVWIWY"
        "DCPRVIGUASMPAAAEAP",
    )
)

_PLACE = re.compile(
    r"(?:[A-Za-z.'\- ]+,? +|[A-Za-z.'\- ]+,)?([A-Za-z]{2})\.?,? *(\d{3,5}(?:-\d{4})?|\d{8,9})"
)
_TOTAL = re.compile(r"(?:(?:grand|report|statement|page|sub)[- ]?)?(?:sub)?totals?\b", re.IGNORECASE)
_TOTAL_AT_END = re.compile(r"\b(?:sub[- ]?)?totals?:?(?: \(?\d+ \w+\)?)?:?$", re.IGNORECASE)
_FURNITURE = re.compile(
    r"page:? *#?\d+\b.*|(?:pg|p)\.? ?\d+(?: ?(?:of|/) ?\d+)?|- ?\d+ ?-|\d+ ?(?:/|of) ?\d+|"
    r".*\b(?:printed|print date|run date|generated|created)\b.*\d.*|.*\bpage:? \d+(?: (?:of|/) \S+)?|"
    r".*\bconfidential\b.*|\(?continued\)?(?: (?:on|from|next|overleaf)\b.*)?\.*|"
    r".*\(?continued\)?\.*|\*+ ?end of .*|"
    r"end of (?:report|statement).*|[-_=*. ]+",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"\d+[A-Za-z]?,? (?:\S+ ){0,4}(?:st|street|ave?|avenue|rd|road|dr|drive|blvd|boulevard|ln|lane|pkwy|"
    r"parkway|hwy|highway|way|ct|court|pl|place|plaza|sq|square|cir|circle|ter|terrace|trail|loop|fwy|freeway)\b\.?,?"
    r"(?: (?:n|s|e|w|ne|nw|se|sw)\.?)?(?:,? (?:suite|ste|floor|bldg|unit|room|apt)?\.? ?#?\w+)?|"
    r"p\.? ?o\.? box \d+.*|(?:suite|ste|floor|bldg|unit|room)\.? #?\d\w*",
    re.IGNORECASE,
)
_NOTE = re.compile(
    r"[*†‡>].*|(?:note|remark|comment|memo|ref|re|attn|p\.?o)s?[.:#]+ .*|n\.b\. .*", re.IGNORECASE
)
_NOTE_WORDS = re.compile(
    r"\b(?:note|see|per|adjust\w*|credit\w*|re-?bill\w*|correct\w*|revers\w*|return\w*|pric\w+|invoice\w*|inv|order\w*|"
    r"commission\w*|rate|paid|pay\w*|ship\w*|effective|agreement|contract\w*|split|rep|void\w*|dup\w*|due|"
    r"refund\w*|previous\w*|prior|statement|freight|back-?order\w*|thank|thanks|questions?|overleaf|attached|approved|dispute\w*)\b"
    r"|\d{3}|\d[/-]\d|[:;!?%$@]",
    re.IGNORECASE,
)
_FACILITY = re.compile(
    r"\b(?:ambulatory|anesthesia|associates?|campus|cancer|cardio\w*|care|center|centre|children'?s|clinics?|corp|ctr|"
    r"dba|dental|dept|department|division|ent|eye|foundation|group|health\w*|heart|hosp|hospitals?|inc|infirmary|"
    r"institute|l\.?l\.?[cp]|med|medical|medicine|memorial|neuro\w*|oncology|ortho\w*|outpatient|p\.?[ac]|partners|"
    r"physicians?|podiatry|practice|regional|rehab\w*|spine|sports|surgeons|surgery|surgical|system|univ\w*|wing|"
    r"women'?s)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=1 << 14)
def place_of(text: str) -> tuple[str, str] | None:
    """State and zip, as printed, of a text that holds nothing else than a place: `Plano, TX 75201`."""
    match = _PLACE.fullmatch(text.strip())
    if match is None or match[1].upper() not in STATES:
        return None
    return match[1], match[2]


def is_total(label: str) -> bool:
    """Whether a label says that its line is a total: `Total for …`, `Grand Total:`, `Cedar Hill Total`."""
    return bool(_TOTAL.match(label.lstrip("* ")) or _TOTAL_AT_END.search(label))


def is_furniture(text: str) -> bool:
    """Whether a text belongs to the page and not to the table: its number, the time of printing."""
    return bool(_FURNITURE.fullmatch(text))


def is_address(text: str) -> bool:
    """Whether a text is a street or a box."""
    return bool(_ADDRESS.fullmatch(text))


def is_note(text: str) -> bool:
    """Whether a text says of itself that it is a remark: `* …`, `Note: …`."""
    return bool(_NOTE.fullmatch(text))


def may_be_note(text: str) -> bool:
    """Whether a text holds words or marks that remarks hold, and names hardly ever."""
    return is_note(text) or bool(_NOTE_WORDS.search(text))


def is_facility(text: str) -> bool:
    """Whether a text holds a word of the names of hospitals and practices."""
    return bool(_FACILITY.search(text))


def shape_of(text: str) -> str:
    """The text with every letter and digit alike: `SHS-014` and `ABC-115` have one shape."""
    return re.sub(r"[A-Za-z]", "A", re.sub(r"\d", "9", text))


def without_numbers(text: str) -> str:
    """The text without its numbers: `Page 1 of 3` and `Page 2 of 3` are one."""
    return re.sub(r"\d+", "9", text).casefold()
