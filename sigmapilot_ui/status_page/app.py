"""The status page: `streamlit run sigmapilot_ui/status_page/app.py`. Settings, database, page."""

from __future__ import annotations

import sqlalchemy as sa
import streamlit as st

from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.settings import SettingsError, load_settings
from sigmapilot_ui.status_page.page import Page, draw

# drawn here: icons by name would be fetched from elsewhere
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#2456a6"/>'
    '<path d="M22 9H10l7 7-7 7h12" fill="none" stroke="#fff" stroke-width="3"/></svg>'
)
st.set_page_config(page_title="SigmaPilot", page_icon=_ICON, layout="wide", initial_sidebar_state="collapsed")


@st.cache_resource(show_spinner=False)
def engine_of(url: str) -> sa.Engine:
    """One engine for all sessions of this process."""
    return create_engine(url)


try:
    settings = load_settings()
except SettingsError as error:
    st.error(str(error))
    st.stop()
draw(
    Page(
        engine_of(settings.database_url.get_secret_value()),
        str(settings.mode),
        settings.params,
        settings.completeness,
        f"http://127.0.0.1:{settings.ports.dagster}",
    )
)
