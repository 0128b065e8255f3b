"""What can be configured, and where secrets come from.

Not here: what a setting does; that is in the code that uses it. Start with `settings`.
"""
