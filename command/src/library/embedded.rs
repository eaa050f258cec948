//! The libraries inside the command. `build.rs` puts them there.

/// A whole `libsigward.so`.
pub struct Embedded<'a> {
    /// Names copies of it: SHA-256 of the bytes, in hexadecimal, or what [`super::place::digest`]
    /// makes of them.
    pub digest: &'a str,
    pub bytes: &'a [u8],
}

impl Embedded<'_> {
    /// The first digits of the digest.
    pub fn mark(&self, length: usize) -> &str {
        self.digest.get(..length).unwrap_or(self.digest)
    }

    /// Its `EM_*`, which stands at the same place in files of both classes.
    pub fn machine(&self) -> u16 {
        let field = self.bytes.get(18..20).and_then(|field| field.try_into().ok());
        let is_big = self.bytes.get(5) == Some(&object::elf::ELFDATA2MSB.0);
        let convert = if is_big { u16::from_be_bytes } else { u16::from_le_bytes };
        field.map_or(0, convert)
    }
}

/// For the command's own machine. `None` if it was not built when the command was.
pub const LIBRARY: Option<Embedded<'static>> = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// For 32-bit programs on x86. `None` if it was not built when the command was.
pub const LIBRARY_32: Option<Embedded<'static>> =
    include!(concat!(env!("OUT_DIR"), "/embedded_i386.rs"));
