"""Whether the promises are kept, on a running system, from what tables and topics hold."""
