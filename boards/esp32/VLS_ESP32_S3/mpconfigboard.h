// A module whose REPL, and so our link, is its own USB port.
#define MICROPY_HW_BOARD_NAME "ESP32-S3 module with vls-backup"
#define MICROPY_HW_MCU_NAME "ESP32-S3"

// Beside USB a UART REPL would get a copy of each byte, at 115200 baud, and hide that the USB host has stalled.
#define MICROPY_HW_ENABLE_UART_REPL (0)

#define MICROPY_HW_I2C0_SCL (9)
#define MICROPY_HW_I2C0_SDA (8)
