"""What the recommendations would have been worth over a log: test-then-learn with the code of the agents."""
