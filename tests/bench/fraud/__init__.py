"""The benchmark of fraud scoring: seeded seasons of traffic and attacks, our scorer beside public rules."""
