"""Why the ranking says what it says, from the very arrays that it worked on. It ranks, learns and keeps nothing."""
