"""The per-event core that the stream, replays and tests drive: `Engine.apply(event) -> outputs`."""
