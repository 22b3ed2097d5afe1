"""What several integrations share, without their frameworks: settings, sending, tests, health, doctor."""
