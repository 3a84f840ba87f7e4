# The stock board, its storage area unchanged in size; our manifest, whose _boot.py leaves a part of it to the backup.
# CMake picks the chip by the variant file, which an out-of-tree board has to name itself.
include(${MICROPY_PORT_DIR}/boards/RPI_PICO2/mpconfigvariant.cmake)
include(${MICROPY_PORT_DIR}/boards/RPI_PICO2/mpconfigboard.cmake)
set(MICROPY_BOARD_PINS ${MICROPY_PORT_DIR}/boards/RPI_PICO2/pins.csv)
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/../image_manifest.py)
