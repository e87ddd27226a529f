"""Campaigns: models x recipes x devices, each measured once, whatever happens on the way.

`plan.py` reads what the user wants, `run.py` sees it through, `work.py` builds and measures.
"""
