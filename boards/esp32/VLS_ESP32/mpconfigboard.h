// A module whose REPL, and so our link, is UART 0 at 115200 baud, behind a USB bridge chip.
#define MICROPY_HW_BOARD_NAME "ESP32 module with vls-backup"
#define MICROPY_HW_MCU_NAME "ESP32"
