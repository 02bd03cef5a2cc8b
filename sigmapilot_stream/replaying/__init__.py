"""The journal played again through the same agents, into a database of its own."""
