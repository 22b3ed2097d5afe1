"""Integrations: one package for each framework or library, imported by those who use it alone."""
