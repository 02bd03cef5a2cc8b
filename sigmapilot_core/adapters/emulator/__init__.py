"""The emulator: a Hyperliquid venue on loopback, so that clients meet the exchange's wire format without the exchange.

    python -m sigmapilot_core.adapters.emulator --seed 7 --port 4110 --state-dir DIR
    python -m sigmapilot_core.adapters.emulator --recording DIR --leaderboard DIR --speed 0

The unmodified hyperliquid-python-sdk runs against `http://127.0.0.1:PORT`. Served are `POST /info`, `POST /exchange`,
`GET /ws`, `GET /Mainnet/leaderboard` (with `?asOfMs=` for a past day of a world) and `GET /Mainnet/vaults`.

Out of protocol: `GET /healthz` and `/emulator/status` (503 until ready), `/emulator/users` (of a recording),
`/emulator/faults`; and, as POST with JSON and the token where one is configured, `/emulator/ready` (the stream
listens: demo news or the recording begin), `/emulator/event`, `/emulator/fault`, `/emulator/deposit`,
`/emulator/advance` (stepped clocks only). In a recording every data frame carries `emulatedReceiveMs`, the last frame
is `{"channel":"emulator","data":{"event":"end"}}`, and the feed never runs ahead of what its consumers have read.

What differs from the exchange: signatures are verified as testnet's, the only dex is the first, spot is empty, margin
is cross only, time-weighted orders cannot be placed, real orders do not move the source's prices, their trades are not
in its candles, and accounts of real orders end with the process. Refusals whose words are not known are our own.

Parts: a `VenueSource` is the life (`composition` builds a world or a recording), `venue` is what can be asked of it,
`driver` moves it block by block, `channels` and `publisher` turn blocks into frames, `desk` and `actions` execute real
orders with the domain's matching engine, `faults` and `disturb` spoil all of it on demand, `server` is the port.
"""
