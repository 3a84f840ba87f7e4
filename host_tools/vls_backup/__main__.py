"""`python -m vls_backup` is the command `vls-backup`."""

import sys

from vls_backup.cli import main

sys.exit(main())
