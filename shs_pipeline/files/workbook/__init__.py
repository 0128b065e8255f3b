"""Reading Excel: is it a workbook we may open, where on its sheets is the table, what do its cells hold.

`archive` and `book` know the parts of the format, `cells` reads a sheet's XML into `values` at `places`, and
`plain` the large plain ones all at once; `header`, `merged` and `sheets` say what belongs to the table. Start
with `table`.
"""
