"""Twilio: forms over HTTP, signs addresses and fields it reports to, knows no reference of ours."""
