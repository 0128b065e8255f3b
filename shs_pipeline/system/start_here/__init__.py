"""What the system writes into the bucket for people who have a browser and Excel and no terminal.

`START HERE.xlsx` at the root says what is there, what is wrong and what to do; the folders of months that are
waited for are made ready. Start with `writing`.
"""
