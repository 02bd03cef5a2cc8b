"""`python -m sigmapilot_ui.api`: settings, database, application, five ports."""

from __future__ import annotations

import sys

from prometheus_client import disable_created_metrics

from sigmapilot_core.adapters.logging import configure_logging
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.settings import Settings, SettingsError, load_settings
from sigmapilot_ui.api.app import create_app
from sigmapilot_ui.api.context import ApiConfig
from sigmapilot_ui.api.serve import LOOPBACK, PortTakenError, listen, run


def config_of(settings: Settings) -> ApiConfig:
    """What the API needs of the settings."""
    return ApiConfig(
        mode=str(settings.mode),
        dagster_url=f"http://{LOOPBACK}:{settings.ports.dagster}",
        stream_metrics_url=f"http://{LOOPBACK}:{settings.ports.stream_metrics}/metrics",
        api_token=settings.api_token,
        params=settings.params,
        completeness=settings.completeness,
    )


def main() -> int:
    """Serve until a signal; 2 for settings that are not allowed, 3 for a port that is taken."""
    try:
        settings = load_settings()
        sockets = listen(settings.ports.api)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except PortTakenError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    configure_logging("api", settings.log_level, settings.log_format)
    disable_created_metrics()
    engine = create_engine(settings.database_url.get_secret_value())
    try:
        run(create_app(engine, config_of(settings)), sockets)
    finally:
        engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
