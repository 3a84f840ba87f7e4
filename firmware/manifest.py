"""What ships on a board (MicroPython manifest, for `make FROZEN_MANIFEST=...`): with backups, unless told otherwise."""

options.defaults(backup=True)  # noqa: F821

module("main.py")  # noqa: F821
package("backup_format")  # noqa: F821
package("signer")  # noqa: F821
if options.backup:  # noqa: F821
    package("signer_backup")  # noqa: F821
