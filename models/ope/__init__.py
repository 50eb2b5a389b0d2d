"""Off-policy evaluation: what another policy would have earned, from the log of the one that ran.

A round is one place that was left to chance: its context, the arm shown there, the propensity, the reward.
"""
