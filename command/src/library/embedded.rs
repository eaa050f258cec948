//! The library inside the command. `build.rs` puts it there.

/// A whole `libsigward.so`.
pub struct Embedded {
    /// SHA-256 of the bytes, in hexadecimal.
    pub digest: &'static str,
    pub bytes: &'static [u8],
}

/// `None` if the library was not built when the command was.
pub const LIBRARY: Option<Embedded> = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
