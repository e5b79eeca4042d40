"""model → network: an OpenAI-compatible API, metrics, and the studio's pages."""
