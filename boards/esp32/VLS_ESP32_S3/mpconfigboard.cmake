# The stock board with our partition table and manifest.
include(boards/ESP32_GENERIC_S3/mpconfigboard.cmake)

# sdkconfig takes a path relative to MicroPython's port, or a whole one, which only CMake knows.
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.backup
    "CONFIG_PARTITION_TABLE_CUSTOM=y\n"
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${MICROPY_BOARD_DIR}/../partitions.csv\"\n")
list(APPEND SDKCONFIG_DEFAULTS ${CMAKE_BINARY_DIR}/sdkconfig.backup)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/../image_manifest.py)
