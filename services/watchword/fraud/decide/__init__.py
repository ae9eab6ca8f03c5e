"""The rules of fraud, pure: no clock, no randomness, no I/O, and no stream library.

`rules` are data; `score` reads features and answers with points; `assess` decides on one request; `observe` says
what a request or an ending tells about its features; `levels` sums observations up over time, for the judge.
"""
