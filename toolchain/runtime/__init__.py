"""Run it here: the reference that judges, and the vendors' runtimes behind one face."""
