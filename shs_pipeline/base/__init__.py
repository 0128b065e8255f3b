"""What every package may use: errors as sentences, months, safe text, atomic and private file writes.

Not here: anything that knows about a source, a table or a setting. Start with `errors`.
"""
