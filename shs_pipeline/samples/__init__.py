"""Sample data: a landing zone of any size, full of what suppliers' files can look like.

The same arguments give the same bytes. Start with `tree`.
"""
