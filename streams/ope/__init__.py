"""Off-policy evaluation of a log: reads it, learns on the first part, judges policies on the rest."""
