"""Every job, measurement and lease, kept."""
