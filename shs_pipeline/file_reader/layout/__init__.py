"""Guess the layout of an unknown file: header, columns and their roles, totals, groups.

Every answer is a guess with its evidence. Start with `guess`; nothing here reads a file of a known source.
"""
