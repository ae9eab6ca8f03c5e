"""The machinery, once: one loop, one way to publish, retry, defer, bury and commit."""
