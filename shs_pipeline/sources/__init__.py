"""The sources, one module each: the contract, reader and quirks of one supplier's files.

A module here with a `SOURCE`, and its name in `landing.names`, is all the system needs. Nothing else belongs
here. Start with `novo`, the shortest.
"""
