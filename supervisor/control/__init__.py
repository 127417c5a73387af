"""The control socket: the protocol (`wire`), the permissions (`access`), and the two ends (`server`, `client`)."""
