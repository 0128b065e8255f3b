"""Why a payout changes, as `shs diff` prints it: the reasons, and their lines."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def show_reason(
    console: Console, amount: Decimal, words: str, lines: Sequence[tuple[Decimal, str]], count: int
) -> None:
    """Print why a payout changes, and the first of its lines with what they add (USD).

    Args:
        count: how many lines there are.
    """
    from shs_pipeline.cli.terminal import say

    say(console, f"  {f'{amount:+,.2f}' if amount else '':>12}  {words}")
    for of_line, about in lines:
        say(console, f"      {of_line:>+12,.2f}  {about}", "dim")
    if count > len(lines):
        more = sum((-of_line for of_line, _ in lines), start=amount)
        say(console, f"      {more:>+12,.2f}  … {count - len(lines)} more", "dim")
