//! The `sda` command, end to end: the binary itself on folders of its own.
#![forbid(unsafe_code)]

#[cfg(test)]
mod command_line {
    mod bad_files;
    mod bad_settings;
    mod devices;
    #[cfg(feature = "gpu")]
    mod gpu;
    mod interrupted;
    mod killed;
    mod sandbox;
    mod smoke;
    mod threads;
    mod tune;
    mod twisted;
    mod variants;
    mod verify;
    mod weights;
}
