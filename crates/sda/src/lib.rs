//! The library's front door and the sda command.
