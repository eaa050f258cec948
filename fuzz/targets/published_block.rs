//! Whatever a process has in its memory, the reader says what it is, or what is wrong with it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sigward_reader::{Source, Unreadable, maps, read};

/// Where the input is; it comes again and again behind that, so that every pointer leads somewhere.
const START: u64 = 0x1_0000;

struct Memory<'a>(&'a [u8]);

impl Source for Memory<'_> {
    fn read_at(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        let unmapped = Unreadable::Unmapped(address);
        let past = address.checked_sub(START).ok_or(unmapped)?;
        let at = past.checked_rem(self.0.len() as u64).ok_or(unmapped)?;
        let from = self.0.get(at as usize..).ok_or(unmapped)?;
        let length = from.len().min(buffer.len());
        buffer[..length].copy_from_slice(&from[..length]);
        Ok(length)
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(snapshot) = read(&Memory(data), START) {
        assert!(snapshot.stacks.len() < 1 << 24);
        let _ = (format!("{snapshot:?}"), snapshot.newer());
    }
    for mapping in maps::parse(data) {
        let _ = format!("{mapping:?}");
    }
});
