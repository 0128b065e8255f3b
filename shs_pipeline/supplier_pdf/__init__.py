"""Summit Medical's monthly statement: a borderless, paginated PDF of no fixed layout.

A reading is taken when its amounts add up to every printed total. Camelot gives a second opinion, and
is taken where only its reading adds up.

Not here: what the lines mean (`sources.summit_medical`). Start with `statement`.
"""
