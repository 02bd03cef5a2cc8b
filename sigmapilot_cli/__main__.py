"""`python -m sigmapilot_cli` is the `sigmapilot` command."""

from sigmapilot_cli.main import app

app()
