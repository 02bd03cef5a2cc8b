"""A seeded, deterministic exchange with a population whose skill is known (specification: simulation).

`world.World` composes everything from `settings.WorldSettings` and recorded `live.WorldInput`s. What a venue shows of
it is `source.WorldSource`; what nobody can see is `truth.Truth`, for the evaluation alone; `probe` runs the pipeline's
rules over a source. In the order of a window: `market` and `news` make prices (`path`), `behaviour` makes wishes,
`plans` and `desk` trips, `orders` and `flows` slices, `execution` trades (`tape`, `candles`), `accounts` the books.
"""
