//! A file for `object` that reads only the parts it looks at: programs of a hundred
//! megabytes are common.
//!
//! `object` is built without `std`. With `std`, its cache is a hash table with a random
//! seed, and it panics if there are no random bytes (no /dev, Linux before 5.6).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use object::read::{ReadCache, ReadCacheOps};

/// A file opened by [`image`].
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
