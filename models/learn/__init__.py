"""Learning to rank, online: slates meet their outcomes, scorers learn from both, the better scorer serves."""
