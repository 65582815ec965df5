"""The garbage collector of a service's process: a batch makes many objects, and nearly all of them go by themselves.

Left as it comes, the collector looks through everything that was imported again and again while a batch is handled: a sixth of
the processor's time, and nothing found.
"""

import gc

THRESHOLDS = (20_000, 20, 50)
"""New objects before the young are looked at, and how often those before the older and the old are: bounded, so that what does
hang together in circles never grows to many megabytes."""


def collect_seldom() -> None:
    """Leave what is there for good, and look at the rest less often; once the application is made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
