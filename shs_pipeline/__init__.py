"""Sales Performance Tracker: from suppliers' files to payouts that can be explained.

Its rooms lie along the way of the data; docs/how-it-works.md draws them.
"""

__version__ = "0.1.0"
