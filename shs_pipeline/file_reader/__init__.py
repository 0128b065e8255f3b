"""Read dropped files in a separate process, with limits on time and memory.

The libraries that read workbooks and PDFs are fast because they are not written in Python, and a damaged
file can make them crash, loop or ask for any amount of memory. Here that ends the child, never the run.
Questions about a whole file are answered here too: its source, what its cells say, the error workbook.
Start with `reader`.
"""
