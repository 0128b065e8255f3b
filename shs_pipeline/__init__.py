"""Sales Performance Tracker: from suppliers' files to payouts that can be explained."""

__version__ = "0.1.0"
