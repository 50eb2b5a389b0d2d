"""Interest: one user's rolling state, folded from browse, search, purchase and feedback."""
