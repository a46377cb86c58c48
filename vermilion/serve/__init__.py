"""Answering over HTTP: a model as a service, guarded, recorded, and replaced while it runs."""
