"""The command line `shs`, one module for each command: arguments in, a few lines of text out.

Not here: what a command does; each calls one room. Start with `main`.
"""
