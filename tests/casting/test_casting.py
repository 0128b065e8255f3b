"""Every dirty form of a cell gives its exact value; what is no such value is refused with a remedy."""

# ruff: noqa: DTZ001 - Excel knows no time zones

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shs_pipeline.casting.cells import (
    CastError,
    Cell,
    ExcelError,
    UncomputedError,
    exact,
    is_blank,
    match_key,
    show,
    squeeze,
)
from shs_pipeline.casting.columns import blanks, cast_cells, names_of
from shs_pipeline.casting.days import day_number
from shs_pipeline.casting.kinds import (
    CASTS,
    Kind,
    cast_amount,
    cast_day,
    cast_flag,
    cast_identifier,
    cast_quantity,
    cast_rate,
    cast_share,
    cast_text,
    cast_whole,
    cast_zip,
)
from shs_pipeline.casting.sheet_values import SheetNumber

NBSP = "\u00a0"
MONEY = st.decimals(
    min_value=-(10**10) + 1, max_value=10**10 - 1, places=2, allow_nan=False, allow_infinity=False
)


# --- amounts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "amount"),
    [
        ("$1,234.50", "1234.50"),
        ("1,234.50", "1234.50"),
        ("1234.5", "1234.5"),
        ("(123.45)", "-123.45"),
        ("($1,123.45)", "-1123.45"),
        ("$(123.45)", "-123.45"),
        ("( 123.45 )", "-123.45"),
        ("-123.45", "-123.45"),
        ("- 5", "-5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("123.45-", "-123.45"),
        ("\u2212123.45", "-123.45"),
        (f" ${NBSP}1,234.50{NBSP}", "1234.50"),
        ("1\u2009234.50", "1234.50"),
        ("1\u202f234\u202f567", "1234567"),
        ("1,234,567.8901", "1234567.8901"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0.00", "0"),
        ("-0.00", "0"),
        ("1e3", "1000"),
        ("+12.00", "12"),
        ("USD 12.00", "12"),
        ("12.00 usd", "12"),
        ("USD -12.00", "-12"),
        ("(78.73) USD", "-78.73"),
        ("$12.00 USD", "12"),
        ("US$12", "12"),
        ("US $ 1,234.50", "1234.50"),
        ("105.87 $", "105.87"),
        ("12.00 CR", "-12"),
        ("12.00 Cr.", "-12"),
        ("'123.45", "123.45"),
        ("'-$1,234.50", "-1234.50"),
        ('="12.00"', "12"),
        ('"12.00"', "12"),
        ("12.00CR", "-12"),
        ("CR 12.00", "-12"),
        ("$12.00 CR", "-12"),
        ("\u201312.00", "-12"),
        ("\u2012$12.00", "-12"),
        ("\u201012.00", "-12"),
        ("12.00\u2013", "-12"),
        ("\u200e$12.00\u200f", "12"),
        ("1\u00ad2.00", "12"),
        ("-2.5E-3", "-0.0025"),
        ("100.00+", "100.00"),
        ("$1,234.50+", "1234.50"),
        ("1234.50 +", "1234.50"),
        ("100.00+ USD", "100.00"),
        (1234.5, "1234.5"),
        (-0.1, "-0.1"),
        (0.1 + 0.2, "0.3"),
        (1234.0, "1234"),
        (7, "7"),
        (-0.0, "0"),
    ],
)
def test_an_amount_is_exact_in_every_form(cell: object, amount: str) -> None:
    assert cast_amount(cell) == Decimal(amount)


@pytest.mark.parametrize(
    "cell",
    [
        "1.234,50", "1,23", "1234,567", "1,2345", "12 34", "1 2345", "12,34,567", "$ -", "-", "$", "()", "(5",
        "5)", "--5", "(-5)", "-(5)", "-5-", "$1$2", "5%", "- 5 CR", "(5 CR)", "+-5", "5 DR", "DR 5",
        "USD 5 USD", "5 EA", "5 CRATES", "CR", "USD", "1.23457E+05", "+", "5+", "1'234.50",
        "'5'", "''5", "'", '="x"',
        "+5.00+", "-5.00+", "(5.00)+", "5.00+-", "5.00 CR+",
        "\u20135\u2013", "abc", "#N/A", "1.2.3",
        "1e", "1e400", "\u0665", "NaN", "inf", "0x10", "1_000",
        True, False, float("inf"), float("-inf"), float("nan"),
        date(2025, 3, 31), datetime(2025, 3, 31, 12), time(1, 2), timedelta(hours=3),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_with_a_remedy(cell: object) -> None:
    with pytest.raises(CastError, match=r"not an amount") as error:
        cast_amount(cell)
    assert "1234.50" in error.value.remedy


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        *[
            (cell, "another currency")
            for cell in (
                "€12", "12 EUR", "100,00 EUR", "C$12", "CA$ 12.00", "12 CAD", "£100.00", "¥12",
                "12.00 GBP", "₹5",
                "AUD 1.00", "-€5", "(12.00 EUR)", "A$12", "12,00 €", "kr 12",
            )
        ],
        *[
            (cell, "decimal comma")
            for cell in ("1.234,50", "12,50", "1 234,5", "-12,5", "$12,50", "1.234.567", "(1.234,50)", "0,07")
        ],
        ("1.23457E+11", "Excel shortened"),
        ("-", "only a dash"),
        ("$ \u2013", "only a dash"),
        ("12.00 DR", "debit"),
        ("12345678901.00", "10 digits"),
        ("1e10", "10 digits"),
        (912345678901234.0, "10 digits"),
        (-1e10, "10 digits"),
        (Decimal(10**10), "10 digits"),
        ("0.12345678901", "10 digits after"),
    ],
)  # fmt: skip
def test_a_refused_amount_is_told_why(cell: object, said: str) -> None:
    with pytest.raises(CastError) as error:
        cast_amount(cell)
    assert said in error.value.problem
    assert error.value.remedy


@pytest.mark.parametrize("cell", ["9999999999.99", 9999999999.99, "(9,999,999,999.99)"])
def test_an_amount_of_ten_digits_is_taken(cell: object) -> None:
    assert abs(cast_amount(cell) or 0) == Decimal("9999999999.99")


@pytest.mark.parametrize("cell", ["", " ", NBSP, "\u200b", "\u00ad\u200e", "\ufe0f", "\t\n"])
@pytest.mark.parametrize("kind", list(CASTS))
def test_a_cell_that_shows_nothing_is_empty_for_every_kind(kind: Any, cell: str) -> None:
    assert CASTS[kind](cell) is None


@given(MONEY)
def test_any_amount_printed_in_any_style_is_read_back_exactly(amount: Decimal) -> None:
    digits, plain = f"{abs(amount):,.2f}", f"{abs(amount):.2f}"
    marked = [
        mark.format(text) for text in (digits, plain) for mark in ("{}", "${}", "USD {}", "{} USD", "US${}")
    ]
    forms = [*marked, f"+{digits}", f" ${NBSP}{digits} "]
    if amount < 0:
        signs = ("({})", "-{}", "{}-", "\u2013{}", "\u2212{}", "{} CR", "- {}")
        forms = [sign.format(text) for text in marked for sign in signs]

    assert {cast_amount(form) for form in forms} == {amount}


@given(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(0, 10))
def test_a_float_of_up_to_fifteen_digits_is_the_number_that_was_typed(digits: int, scale: int) -> None:
    typed = Decimal(digits).scaleb(-scale)

    assert exact(float(typed)) == typed
    if abs(typed) < 10**10:
        assert cast_amount(float(typed)) == typed


@given(MONEY, st.integers(1, 50))
def test_the_noise_of_a_computed_cell_is_not_money(price: Decimal, quantity: int) -> None:
    price = price % 100_000
    assert cast_amount(float(price) * quantity) == price * quantity


@pytest.mark.parametrize("number", [1 / 8192, 100 / 7, 3.14159265358979, 1.23456789012345e-7])
def test_a_computed_number_keeps_ten_decimals(number: float) -> None:
    value = exact(number)

    assert -value.as_tuple().exponent <= 10  # type: ignore[operator]
    assert abs(value - Decimal(number)) <= Decimal("0.00000000005")


# --- other numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "count"), [("0.5", "0.5"), (-3.0, "-3"), ("(2)", "-2"), ("1,000", "1000")])
def test_a_quantity_may_be_fractional_or_negative(cell: object, count: str) -> None:
    assert cast_quantity(cell) == Decimal(count)


@pytest.mark.parametrize(
    "cell", ["two", "1,5", "$5", "5 USD", "5 CR", "12345678901.5", 1e11, "3 ea", True, date(2025, 1, 1)]
)
def test_what_is_no_quantity_is_refused(cell: object) -> None:
    with pytest.raises(CastError, match=r"not a number|number is too large"):
        cast_quantity(cell)


@pytest.mark.parametrize(
    ("cell", "rate"),
    [
        ("7%", "0.07"), ("7.0%", "0.07"), ("7,0%", "0.07"), ("7 %", "0.07"), (f"7{NBSP}%", "0.07"),
        ("12,5%", "0.125"), ("0.07", "0.07"), ("0,07", "0.07"), ("7", "0.07"), ("7,5", "0.075"),
        (0.07, "0.07"), (7.0, "0.07"), (7, "0.07"), (0.07 + 1e-17, "0.07"), ("0.5%", "0.005"),
        ("100%", "1"), (1.0, "0.01"), ("\u20137%", "-0.07"), ("7\u200e%", "0.07"), ("1000%", "10"),
        (0.999, "0.999"), (0.0, "0"), ("-7%", "-0.07"),
    ],
)  # fmt: skip
def test_a_rate_is_a_factor_in_every_form(cell: object, rate: str) -> None:
    assert cast_rate(cell) == Decimal(rate)


@pytest.mark.parametrize(
    "cell",
    ["seven", "7%%", "%", "7.5.1", "$7", "1001%", 1001, "9" * 99, True, float("nan"), date(2025, 7, 1)],
)
def test_what_is_no_rate_is_refused(cell: object) -> None:
    with pytest.raises(CastError, match=r"percentage"):
        cast_rate(cell)


@pytest.mark.parametrize(
    ("cell", "share"), [(1.0, "1"), ("1", "1"), ("1%", "0.01"), (50.0, "0.5"), ("50%", "0.5"), (0.5, "0.5")]
)
def test_a_share_of_one_is_all_of_it(cell: object, share: str) -> None:
    assert cast_share(cell) == Decimal(share)


@given(st.integers(1, 9999))
def test_a_rate_is_the_same_in_every_form(basis_points: int) -> None:
    factor = Decimal(basis_points) / 10_000
    percent = f"{factor * 100:f}"
    forms: list[object] = [f"{percent}%", f"{percent.replace('.', ',')}%", float(factor), str(factor)]
    if basis_points >= 100:
        forms += [percent, float(percent)]

    assert {cast_rate(form) for form in forms} == {factor}


@pytest.mark.parametrize(("cell", "number"), [(2025.0, 2025), ("2,025", 2025), ("7.0", 7), (-3, -3)])
def test_a_whole_number_may_come_as_a_float(cell: object, number: int) -> None:
    assert cast_whole(cell) == number


@pytest.mark.parametrize("cell", [7.5, "7.5", "1e30", 1e19, "year", True])
def test_what_is_no_whole_number_of_the_database_is_refused(cell: object) -> None:
    with pytest.raises(CastError):
        cast_whole(cell)


# --- identifiers, zips and text ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "identifier"),
    [
        (10482.0, "10482"), ("10482.0", "10482"), ("10482.00", "10482"), (10482, "10482"), ("00123", "00123"),
        ("00123.0", "00123"), ("4.5E10", "4.5E10"), ("1E5", "1E5"), (4.5e10, "45000000000"),
        (10482.5, "10482.5"), (" A-1\u00a0 2 ", "A-1 2"), ("1.0.0", "1.0.0"),
        (123456789012345.0, "123456789012345"), (-7.0, "-7"), ("1.23457E11", "1.23457E11"),
        ("2E-10", "2E-10"), ("'00123", "00123"),
        ('="00123"', "00123"), ('"00123"', "00123"), ('3" x', '3" x'), ("'4.5E10", "4.5E10"), ("'A'", "'A'"),
        ("12345678901234567890", "12345678901234567890"), ("A1E+05", "A1E+05"), ("1E+5", "1E+5"),
    ],
)  # fmt: skip
def test_an_identifier_survives_as_typed(cell: object, identifier: str) -> None:
    assert cast_identifier(cell) == identifier


@pytest.mark.parametrize(
    "cell", ["1.23457E+11", "4.5E+10", "4,5e+10", "1E+15", 1e15, 1234567890123456.0, -1e20, 10**17]
)
def test_an_identifier_that_excel_shortened_is_refused(cell: object) -> None:
    for cast in (cast_identifier, cast_zip):
        with pytest.raises(CastError, match=r"shortened") as error:
            cast(cell)
        assert "Text" in error.value.remedy
    _, errors = cast_cells([cell, "4.5E10"], "identifier")
    assert list(errors) == [0]


@pytest.mark.parametrize("cell", [date(2025, 3, 1), datetime(2025, 3, 1), time(3, 4), timedelta(hours=30)])
def test_an_identifier_that_excel_made_a_date_of_is_refused(cell: object) -> None:
    for cast in (cast_identifier, cast_zip):
        with pytest.raises(CastError, match=r"date or time") as error:
            cast(cell)
        assert "Text" in error.value.remedy


@pytest.mark.parametrize(
    ("cell", "zip_code"),
    [
        (2138.0, "02138"), ("2138", "02138"), ("02138", "02138"), (501.0, "00501"), ("2138.0", "02138"),
        (75201, "75201"), ("75201-1234", "75201-1234"), (752011234.0, "75201-1234"),
        (21381234.0, "02138-1234"), ("2138-1234", "02138-1234"), (f" 75201{NBSP}", "75201"),
        ("K1A 0B6", "K1A 0B6"),
    ],
)  # fmt: skip
def test_a_zip_keeps_its_leading_zeros(cell: object, zip_code: str) -> None:
    assert cast_zip(cell) == zip_code


@pytest.mark.parametrize("cell", [12.0, "12", "123456", 1234567.0, "75201-", 2138.5, -2138.0, True])
def test_what_is_no_zip_is_refused(cell: object) -> None:
    with pytest.raises(CastError, match=r"five digits"):
        cast_zip(cell)


@given(st.integers(501, 99950))
def test_a_zip_is_the_same_as_number_and_as_text(number: int) -> None:
    assert {cast_zip(cell) for cell in (float(number), str(number), f"{number:05d}")} == {f"{number:05d}"}


@given(st.integers(0, 10**15 - 1))
def test_an_identifier_is_the_same_as_number_and_as_text(number: int) -> None:
    assert {cast_identifier(cell) for cell in (float(number), str(number), f"{number}.0")} == {str(number)}


@pytest.mark.parametrize("cast", [cast_text, cast_identifier, squeeze, match_key])
@given(text=st.text())
def test_text_that_is_normal_stays_so(cast: Callable[[str], str | None], text: str) -> None:
    once = cast(text)

    assert once is None or cast(once) == once


@given(st.text(alphabet=st.characters(max_codepoint=0x20FF), min_size=1))
def test_no_text_holds_what_the_database_cannot_keep(text: str) -> None:
    cast = cast_text(f"a{text}\x00b")

    assert cast is not None
    assert "\x00" not in cast
    assert "  " not in cast


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("  Saint \u00a0 Mary\u2009Clinic ", "Saint Mary Clinic"), ("a\u200bb", "ab"), (12.5, "12.5"),
        ("Ann Lee\u200e", "Ann Lee"), ("\u202aAnn Lee\u202c", "Ann Lee"), ("Ann Re\u00ade\ufeff", "Ann Ree"),
        ("Jose\u0301", "Jos\u00e9"), ("a\u0007b", "a b"), ("Ann\ufe0f\u034f Lee", "Ann Lee"),
        ("a\ud800b", "ab"),
        (12.0, "12"), (1e16, "10000000000000000"), (True, "TRUE"), (date(2025, 3, 1), "2025-03-01"),
        (datetime(2025, 3, 1), "2025-03-01"), (datetime(2025, 3, 1, 4, 5), "2025-03-01 04:05:00"),
    ],
)  # fmt: skip
def test_text_is_what_a_person_reads(cell: object, text: str) -> None:
    assert cast_text(cell) == text


def test_names_are_compared_without_case_and_spaces() -> None:
    assert match_key(f" ANN{NBSP}  Élan\u200e ") == match_key("ann E\u0301LAN")
    assert match_key("Hans Groß") == match_key("HANS GROSS")
    assert match_key("Ann Lee") != match_key("AnnLee")


def test_a_long_cell_is_shown_in_part() -> None:
    assert len(show("x" * 500)) == 200
    assert show("x" * 500).endswith("…")


@pytest.mark.parametrize(
    ("cell", "blank"),
    [
        (None, True), ("", True), (NBSP, True), (float("nan"), True),
        (0.0, False), (False, False), ("-", False), (ExcelError("#N/A"), False),
    ],
)  # fmt: skip
def test_what_is_blank(cell: object, blank: bool) -> None:
    assert is_blank(cell) is blank


# --- days and flags -----------------------------------------------------------------------------


THIS_YEAR = date.today().year  # noqa: DTZ011
DAYS = st.dates(date(2000, 1, 1), date(2099, 12, 31))
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def ordinal(day: int) -> str:
    return f"{day}{'th' if 10 < day < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def spellings(day: date) -> list[str]:
    """Every usual spelling of a day that leaves no doubt, in American order where there are numbers only."""
    year, month, number = day.year, day.month, day.day
    name, weekday = MONTHS[month - 1], WEEKDAYS[day.weekday()]
    years = [str(year)] if year > THIS_YEAR else [str(year), f"{year % 100:02d}"]
    words = [
        form.format(d=d, m=m, y=y)
        for m in {name, name[:3], name[:3].upper(), name.lower(), f"{name[:3]}."}
        for d in {str(number), f"{number:02d}"}
        for y in years
        for form in (
            "{d}-{m}-{y}",
            "{d} {m} {y}",
            "{m} {d}, {y}",
            "{m} {d} {y}",
            "{d}/{m}/{y}",
            "{m}-{d}-{y}",
        )
    ]
    words += [
        f"{number}{name[:3]}{year}",
        f"{name} {ordinal(number)}, {year}",
        f"{ordinal(number)} of {name} {year}",
    ]
    words += [f"{year}-{name[:3]}-{number:02d}", f"{year} {name} {number}", f"{name[:3]} {number},{year}"]
    numbers = [
        form.format(month, number, y)
        for y in years
        for form in (
            "{0:02d}/{1:02d}/{2}",
            "{0}/{1}/{2}",
            "{0:02d}-{1:02d}-{2}",
            "{0}-{1}-{2}",
            "{0} / {1} / {2}",
        )
    ]
    numbers += [
        form.format(year, month, number)
        for form in ("{}-{:02d}-{:02d}", "{}/{:02d}/{:02d}", "{}/{}/{}", "{}.{:02d}.{:02d}", "{}{:02d}{:02d}")
    ]
    dated = [f"{w}{gap}{day:%m/%d/%Y}" for w in (weekday, weekday[:3]) for gap in (" ", ", ")]
    dated += [f"{weekday}, {name} {number}, {year}", f"{weekday[:3]} {number:02d} {name[:3]} {year}"]
    dated += [f"{numbers[0]} {weekday}", f"{name} {number}, {year}, {weekday[:3]}"]
    times = [" 00:00", " 12:00:00 AM", " 23:59:59.999", " at 1:05 p.m.", ", 10:12 AM GMT-05:00", " 10:12 UTC"]
    timed = [text + time for text in (numbers[0], words[0]) for time in times]
    iso = [
        f"{day}{time}"
        for time in (
            "T00:00:00Z",
            "T23:30:00-05:00",
            "T08:30:00.000",
            " 00:00:00+00:00",
            "T08:30",
            "T0:00:00+0000",
        )
    ]
    ctime = [f"{weekday[:3]} {name[:3]} {number} 00:00:00{zone} {year}" for zone in ("", " UTC", " EST")]
    marks = [f"\u200e{numbers[0]}\u200f", f"{NBSP}{numbers[0]} ", numbers[2].replace("-", "\u2013")]
    basic = [f"{year}{month:02d}{number:02d}T{clock}" for clock in ("101200Z", "1012")]
    return [*words, *numbers, *dated, *timed, *iso, *ctime, *marks, *basic]


@given(DAYS)
def test_every_spelling_of_a_day_is_that_day(day: date) -> None:
    serial = (day - date(1899, 12, 30)).days
    cells = [day, datetime(day.year, day.month, day.day, 13, 45), float(serial), serial + 0.5]
    cells += [float(f"{day:%Y%m%d}"), int(f"{day:%Y%m%d}"), *spellings(day)]

    assert [(cell, cast_day(cell)) for cell in cells] == [(cell, day) for cell in cells]


@given(DAYS, st.data())
def test_a_spelling_that_lacks_a_part_or_has_another_is_no_day(day: date, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(spellings(day)))
    part = data.draw(st.sampled_from([str(day.year), MONTHS[day.month - 1][:3]]))
    changed = text.replace(part, data.draw(st.sampled_from(["", "x", "Mars", "123", "May May"])))
    try:
        found = cast_day(changed)
    except CastError:
        return
    if (number := day_number(changed)) is not None:  # `4Jan2027` without its month is a day as Excel counts
        assert found == date(1899, 12, 30) + timedelta(days=number)
        return
    assert found == day
    assert text == changed or "".join(filter(str.isdigit, changed)) in spelled_digits(day)


def spelled_digits(day: date) -> set[str]:
    return {"".join(filter(str.isdigit, text)) for text in spellings(day)}


@given(st.text(st.sampled_from("0123456789/-. ,:TZMarchjunFi"), max_size=14))
def test_what_is_read_as_a_day_is_a_spelling_of_it(text: str) -> None:
    try:
        day = cast_day(text)
    except CastError:
        return
    if day is not None and day_number(text) is None:
        digits = "".join(filter(str.isdigit, text.replace("T", " ").split(":")[0]))
        numbers = [f"{day.day}", f"{day.day:02d}", f"{day.month}", f"{day.month:02d}", f"{day.year}"]
        rest = digits
        for number in sorted([*numbers, f"{day.year % 100:02d}"], key=len, reverse=True):
            rest = rest.replace(number, "", 1)
        assert len(rest) <= 2  # nothing but day, month, year and the hour


@pytest.mark.parametrize(
    "cell",
    [
        45730, 45730.5, "45730", "45730.0", SheetNumber(45730, "0045730"),
        SheetNumber(20250314, "2025-03-14"),
        SheetNumber(3142025, "03/14/2025"),
    ],
)  # fmt: skip
def test_a_number_is_the_day_that_excel_counts_or_shows(cell: object) -> None:
    assert cast_day(cell) == date(2025, 3, 14)


def test_a_year_of_two_digits_is_never_in_the_future() -> None:
    last, next_year = f"3/14/{THIS_YEAR % 100:02d}", f"14-Mar-{(THIS_YEAR + 1) % 100:02d}"

    assert cast_day(last) == date(THIS_YEAR, 3, 14)
    with pytest.raises(CastError, match=r"future") as error:
        cast_day(next_year)
    assert "four digits" in error.value.remedy


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("14/03/2025", "no month 14"),
        ("14.03.2025", "the day may stand first"),
        ("2/30/2025", "no such day"),
        ("Mon 14 Mar 2025", "a different day of the week"),
        ("3/14/2025 Monday", "a different day of the week"),
        ("Feb 30, 2025", "no such day"),
    ],
)
def test_a_refused_day_is_told_why(cell: str, said: str) -> None:
    with pytest.raises(CastError, match=said):
        cast_day(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "31/12/2025", "13/01/2025", "02/30/2025", "2025-13-01", "31.03.2025", "03.04.2025", "soon",
        "31-03-25",
        "36525", "73051", "4574", "457470", "3/2025",
        "12/31/1999", "2100-01-01", date(1999, 12, 31), date(2100, 1, 1), 12.0,
        99999.0, True, "March 2025", "14", "10:30", "Mar 14", "14 March", "2025", "Friday", "1/2/3/2025",
        "14 M\u00e4rz 2025", "14 mars 2025", "14 Mrz 2025", "2025-W11-5", "2025-073", "March 32, 2025",
        "03/14/2025 - 03/20/2025", "Mar 14 - Mar 20, 2025", "3/14-2025", "Foo 14 Mar 2025", "14 Mar 2025 x",
        "3/14/2025 25:00", "250314", "14032025", 20251399.0, "0/14/2025", "3/0/2025", "3/14/025",
        "March 14 20255", "31 25 Mar", "Mar'25 14", "Mar 1.5 2025", "Mar 14 at 2025", "14 14 Mar 2025",
        "May 14 May 2025",
        "\u0663/14/2025", "yesterday", "1 2 2025", "14.03.25", "12/31/9999", date(9999, 12, 31),
        time(12, 0), timedelta(days=45747), float("inf"),
    ],
)  # fmt: skip
def test_what_is_no_day_of_this_century_is_refused_and_not_guessed(cell: object) -> None:
    with pytest.raises(CastError, match=r"not a readable date") as error:
        cast_day(cell)
    assert "MM/DD/YYYY" in error.value.remedy


@pytest.mark.parametrize(
    ("cell", "flag"),
    [("Yes", True), (" y ", True), (1.0, True), (True, True), ("ACTIVE", True), ("No", False), (0.0, False)],
)
def test_a_flag_says_yes_or_no(cell: object, flag: bool) -> None:
    assert cast_flag(cell) is flag


def test_a_flag_that_says_neither_is_refused() -> None:
    with pytest.raises(CastError, match=r"neither"):
        cast_flag("perhaps")


# --- columns ------------------------------------------------------------------------------------


def test_each_bad_cell_of_a_column_is_reported_and_hides_no_other() -> None:
    values, errors = cast_cells(["1", "x", None, 2.0, "", "x", float("nan"), True], "amount")

    assert values == [Decimal(1), None, None, Decimal(2), None, None, None, None]
    assert sorted(errors) == [1, 5, 7]


def test_equal_cells_of_different_types_are_cast_each_by_its_own_type() -> None:
    values, errors = cast_cells([1.0, True, 1, "1"], "text")

    assert values == ["1", "TRUE", "1", "1"]
    assert errors == {}


@pytest.mark.parametrize("kind", list(CASTS))
def test_an_excel_error_is_named_whatever_the_column_holds(kind: Any) -> None:
    values, errors = cast_cells(["", ExcelError("#DIV/0!")], kind)

    assert values == [None, None]
    assert "#DIV/0!" in errors[1].problem
    assert "formula" in errors[1].remedy


@pytest.mark.parametrize("kind", list(CASTS))
def test_a_formula_that_was_never_computed_says_so(kind: Any) -> None:
    _, errors = cast_cells([UncomputedError(), None], kind)

    assert "never calculated" in errors[0].problem
    assert "save it" in errors[0].remedy


_PIECES = st.text(st.sampled_from("0123456789.,$()- eEA\n\u00a0\t"), max_size=10)
_ODD_CELLS = st.one_of(
    _PIECES,
    st.floats(allow_nan=False),
    st.decimals(-(10**6), 10**6, places=2).map(lambda amount: f"${amount:,}"),
    st.sampled_from(
        ["10482.0", "00123", "4.5E10", "$1,234.50", "1,23", "A\nB", "B", -0.0, 0.0001234567891, True, None]
    ),
    st.sampled_from(
        ["(5.00)", "-$5.00", "($1,234.50)", " $5.00 ", "-0.00", "(-5.00)", "(5.00", "-(5.00)", "$-5.00"]
    ),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["", "USD ", "US$", "+", "\u2212", "\u2013", "\u2212$", "\u2013$", "(", "-"]),
        st.decimals(0, 10**6, places=2).map(lambda amount: f"{amount:,}"),
        st.sampled_from(["", " USD", " $", " CR", "-", ") USD", ")", "$", "+", " EUR"]),
    ),
    st.sampled_from(
        ["12345678901.00", "1,234,567,890.00", "12,345,678,901.00", 1e10, 1e15, "1.2E+11", "USD 5.00"]
    ),
)


def cast_alone(kind: Kind, cell: Cell) -> tuple[Any, str | None]:
    """What a cell is cast to, and what is wrong with it."""
    try:
        return (None if cell is None or cell == "" else CASTS[kind](cell)), None
    except CastError as error:
        return None, error.problem


@pytest.mark.parametrize("kind", list(CASTS))
@given(cells=st.lists(_ODD_CELLS, max_size=12))
def test_a_column_is_cast_as_its_cells_are_one_by_one(kind: Kind, cells: list[Cell]) -> None:
    values, errors = cast_cells(cells, kind)

    problems = [errors[position].problem if position in errors else None for position in range(len(cells))]
    found = list(zip(values, problems, strict=True))
    assert found == [cast_alone(kind, cell) for cell in cells]
    assert [type(value) for value in values] == [type(cast_alone(kind, cell)[0]) for cell in cells]


@given(
    st.lists(st.integers(-(10**12), 10**12).map(lambda cents: cents / 100), max_size=8),
    st.lists(st.floats(-1e11, 1e11).map(lambda number: round(number, 3)), max_size=4),
)
def test_amounts_of_cents_are_cast_all_at_once_to_the_digits_that_were_typed(
    cents: list[float], others: list[float]
) -> None:
    cells: list[Cell] = [
        *cents,
        *others,
        0.0,
        -0.0,
        100.0,
        0.1 + 0.2,
        999999999.99,
        -1e9,
        "$7.10",
        None,
        True,
    ]

    values, errors = cast_cells(cells, "amount")

    problems = [errors[position].problem if position in errors else None for position in range(len(cells))]
    # The digits of an amount go to the database as they are: 12.5 and 12.50 are two of them.
    found = [str(value) for value in values]
    assert found == [str(cast_alone("amount", cell)[0]) for cell in cells]
    assert problems == [cast_alone("amount", cell)[1] for cell in cells]


ANY_CELL = st.one_of(
    st.none(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["", " ", NBSP, "\u200b", "\u3164", "Oak Clinic", "OAK  clinic", "a\nb", "x" * 201, "\ufeff", "0"]
    ),
    st.sampled_from(
        [ExcelError("#N/A"), date(2025, 3, 31), datetime(2025, 3, 31, 5), 1e15, -0.0, 12.0, 2.5, "ß"]
    ),
)


@example([None, "0\n1"])
@given(st.lists(ANY_CELL, max_size=12))
def test_blanks_and_names_of_many_cells_are_those_of_each(cells: list[Any]) -> None:
    of_a_sheet = [cell for cell in cells if not isinstance(cell, str) or not is_blank(cell)]
    assert blanks(of_a_sheet).tolist() == [is_blank(cell) for cell in of_a_sheet]
    names = names_of(dict.fromkeys(cells))
    for cell in cells:
        nameless = is_blank(cell) or isinstance(cell, date)
        assert names[cell] == ("" if nameless else match_key(show(cell)))
