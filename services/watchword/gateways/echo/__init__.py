"""The echo gateway: JSON over HTTP, dedupes by our reference, can be asked, signs what it calls back with."""
