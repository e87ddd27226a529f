"""A target measured: what ops cost there against their channels."""
