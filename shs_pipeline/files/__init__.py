"""From a file to lines: workbooks, contracts, remarks, printed totals, and what a reading of any file holds.

Not here: what a single cell says (`casting`), the PDF (`supplier_pdf`), what any one supplier sends
(`sources`), and the process in which files are read (`file_reader`). Start with `source`, which says what a
source declares.
"""
