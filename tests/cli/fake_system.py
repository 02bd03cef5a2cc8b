"""A system of fake parts under the real lock and supervisor, as a process of its own.

Arguments: folder for the parts' story. Settings come from the environment, as for `sigmapilot up`.
"""

import sys
from pathlib import Path

from fake_parts import FAST, fake_part

from sigmapilot_cli.lock import single_instance
from sigmapilot_cli.options import settings_of
from sigmapilot_cli.plan import Plan, postgres
from sigmapilot_cli.runner import make_mode_dir, run_plan

story, kind = Path(sys.argv[1]), sys.argv[2]
settings = settings_of()
make_mode_dir(settings)
plan: Plan = [postgres(settings)] if kind == "postgres" else []
plan += [fake_part("one", story), fake_part("two", story, "parent")]
with single_instance(settings.mode_dir, str(settings.mode), None):
    sys.exit(run_plan(settings, plan, pace=FAST))
