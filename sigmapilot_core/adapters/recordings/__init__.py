"""Recordings of others, read as they are from where they lie; `read` knows them by their folder's files."""
