"""Tell plugins what happens in a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mritk.files.remedy import refusal_of_disk
from mritk.plugins.registry import Registry

if TYPE_CHECKING:
    from mritk.store.folder import ResultsFolder
    from mritk.trial import Outcome, Plan

logger = logging.getLogger("mritk")


@dataclass
class Events:
    """Calls the event hooks; a plugin that raises is switched off and never harms a trial."""

    registry: Registry
    silenced: set[int] = field(default_factory=set)

    @contextmanager
    def of_run(self, plan: Plan, results: ResultsFolder) -> Iterator[list[Outcome]]:
        """Tell the start of a run and, however it ends, its end with the outcomes in the list."""
        outcomes: list[Outcome] = []
        self.announce("mritk_run_start", plan=plan)
        try:
            yield outcomes
        finally:
            self.announce("mritk_run_finish", outcomes=outcomes)
            results.tidy()

    def announce(self, hook: str, **arguments: Any) -> None:
        """Call every implementation of ``hook`` with the arguments that it names."""
        for implementation in self.registry.implementations(hook):
            if id(implementation.plugin) in self.silenced:
                continue
            try:
                self.registry.call(implementation, arguments)
            except (Exception, SystemExit) as error:
                self.silenced.add(id(implementation.plugin))
                if refusal := refusal_of_disk(error, f"a file in {hook}"):
                    origin = self.registry.origin_of(implementation)
                    off = "plugin %s is disabled for the rest of this run: %s"
                    logger.warning(off, origin, refusal)
                    continue
                logger.warning(
                    "plugin %s raised in %s and is disabled for the rest of this run; '-p no:%s' "
                    "excludes it",
                    self.registry.origin_of(implementation),
                    hook,
                    implementation.plugin_name,
                    exc_info=True,
                )
