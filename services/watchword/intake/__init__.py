"""Intake: who may ask for a verification, how often, and for which number; the two doors, HTTP and Kafka."""
