"""The composition root: builds the parts, runs their actions, and talks to systemd."""
