"""Secrets, API keys and the ASGI layer that decides who may reach a server."""
