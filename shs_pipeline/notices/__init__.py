"""Notices: each event is recorded once in the outbox and mailed to the people it concerns.

`happenings` finds events in the books that nobody has been notified of, `texts` words them, `outbox` keeps
them in `ops.notices`, `sending` turns them into mails and `mail_server` delivers those. Events are derived,
not announced: a killed run announces nothing, but the next look finds what it did.
"""
