"""A log sent to the topics: paced, confirmed by the broker, and resumed where it stopped."""
