"""What a search varies, by what it judges, what it tries next, and what it has found."""
