"""The monthly close: what was approved and paid, and the statements that say so.

Here: the ledger and the checklist of a close, the statements that follow from them, and the files under
`paid/` in the landing zone. Not here: how a payout is computed (`dbt_project`), and who may read it
(`people`).
Start with `statement.py`, which says what a statement is.
"""
