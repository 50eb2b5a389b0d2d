"""Declared, versioned changes of events and catalogue before anyone learns from them."""
