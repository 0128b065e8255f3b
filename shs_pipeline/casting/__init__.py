"""From a dirty cell to an exact value, without guessing.

A cell arrives as the sheet holds it (text, number, boolean, date, `""` for empty) or as text printed in
a PDF. A cast returns the value, `None` for an empty cell, or raises `CastError` with a sentence on what
is wrong and one on how to fix it.

Not here: which cells belong to a line, and what kind each column is of (`files`). Start with `kinds`.
"""
