"""How the flash of our own RP2 images is divided: the file system first, the backup from there to the end."""

FILE_SYSTEM = 96 * 4096  # bytes
