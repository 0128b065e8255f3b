"""Who may log in: login roles, their permissions and their passwords.

Not here: which rows a role may read; each mart's policy says that. Start with `access`, which brings the
logins in line with the workbook; `logins` says who is who.
"""
