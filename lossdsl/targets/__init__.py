"""Back ends: each file prints or runs a Program."""
