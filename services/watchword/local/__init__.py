"""A laptop's own Kafka and Postgres: for the first five minutes and for tests, never in production."""
