"""The template gateway: any provider with a plain HTTP API, described by an account's options; blind."""
