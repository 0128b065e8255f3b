"""Reading dropped files in a process of its own, with limits on time and memory.

The libraries that read workbooks and PDFs are fast because they are not written in Python, and a damaged
file can make them crash, loop or ask for any amount of memory. Here that ends the child, never the run.
"""
