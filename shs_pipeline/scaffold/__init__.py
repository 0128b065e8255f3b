"""Scaffold a new source from a file's layout, and generate the models and docs pages of a contract.

Not here: guessing the layout; `file_reader/layout` does that in the reading process. Start with `new_source`.
"""
