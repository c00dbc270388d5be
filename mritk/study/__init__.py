"""From a benchmark to its plan: names resolved, data opened, trials listed, refusals made."""
