"""The page of the emulator: HTML, a style sheet and scripts, without a build step."""
