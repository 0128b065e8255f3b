"""The bucket: which files are where, what their paths say, what arrived, and what we write into it.

Not here: what is inside a file (`files`), or whether it is due (`ingest.changes`). Start with `zone`.
"""
