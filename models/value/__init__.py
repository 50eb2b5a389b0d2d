"""What each source of data is worth to the recommendations, as they are made."""
