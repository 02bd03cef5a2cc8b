"""Connections that the server has closed are noticed before they are used, unless the user of the pool trusts them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.engine import create_engine


def closed_by_the_server(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    other = create_engine(engine.url.render_as_string(hide_password=False))
    with other.connect() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    other.dispose()


def test_a_connection_that_was_closed_is_replaced(store_engine: sa.Engine) -> None:
    engine = create_engine(store_engine.url.render_as_string(hide_password=False))
    closed_by_the_server(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    engine.dispose()


def test_one_that_is_trusted_fails_once_and_is_replaced_then(store_engine: sa.Engine) -> None:
    engine = create_engine(store_engine.url.render_as_string(hide_password=False), trusted_s=60.0)
    closed_by_the_server(engine)
    with pytest.raises(sa.exc.OperationalError), engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    engine.dispose()
