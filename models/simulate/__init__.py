"""Simulate: a shop with known truth. Everything it makes is called a simulation."""
