"""`python -m services` is the `sampan` command."""

import sys

try:
    # Imported here: it takes a second, in which Ctrl-C is a wish to end and no traceback.
    from services.cli import main

    main()
except KeyboardInterrupt:
    sys.exit(130)
