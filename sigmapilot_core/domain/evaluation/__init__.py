"""How good the science is: the pipeline's own rules over recorded or simulated days, fast enough to be asked often.

`record` holds what was observable as columns; `simulated` makes one of a simulated world. `episode_columns`, `exits`
and `market_view` are fast forms of rules that stand elsewhere, held to them by tests. `day_model` is what the pipeline
knows on the morning of a day, `replay` what it decides on it, `walk_forward` puts days into folds. `truth_report` is
the only part that may ask the simulated world's truth.
"""
