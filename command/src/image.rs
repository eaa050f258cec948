//! A file on disk as `object` reads it, those parts only that are looked at:
//! programs of a hundred megabytes are common.
//!
//! `object` is built without `std`: with it, its cache is a hash table, whose
//! seed is random bytes, and where none can be had (no /dev, Linux before 5.6)
//! that panics.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use object::read::{ReadCache, ReadCacheOps};

/// The file, to be had by [`image`].
pub struct Image(File);

/// Lets `object` read `file`.
pub fn image(file: File) -> ReadCache<Image> {
    ReadCache::new(Image(file))
}

impl ReadCacheOps for Image {
    fn len(&mut self) -> Result<u64, ()> {
        self.0.seek(SeekFrom::End(0)).map_err(drop)
    }

    fn seek(&mut self, position: u64) -> Result<u64, ()> {
        self.0.seek(SeekFrom::Start(position)).map_err(drop)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, ()> {
        self.0.read(into).map_err(drop)
    }

    fn read_exact(&mut self, into: &mut [u8]) -> Result<(), ()> {
        self.0.read_exact(into).map_err(drop)
    }
}
