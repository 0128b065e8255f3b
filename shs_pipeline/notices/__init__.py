"""Notices: what happens is written down once in the outbox, and mailed to whom it concerns.

`happenings` finds in the books what nobody was told of so far, `texts` says it in words, `outbox`
keeps it in `ops.notices`, `sending` makes mails of it and `mail_server` hands them over. What is told
is derived, not announced: a run that is killed tells nobody, and the next look finds what it did.
"""
