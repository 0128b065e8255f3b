"""From bytes to lines: workbooks, the PDF statement, casting, contracts, remarks and printed totals.

Not here: what any one supplier sends (`sources`), and the process in which files are read
(`file_reader`). Start with `source`, which says what a source declares.
"""
