"""The control socket: `wire` is the language, `access` who may speak, `server` and `client` the two ends."""
