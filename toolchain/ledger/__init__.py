"""Every job, measurement and lease, kept: nothing is lost, nothing is counted twice.

`ledger.py` is the door. SQLAlchemy is imported with it, not with this package.
"""
