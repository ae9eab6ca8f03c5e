"""SMPP 3.4: the language of carriers that keep a connection open."""
