"""What the tests share: guards, real components, the TLS certificates, the wire peers."""
