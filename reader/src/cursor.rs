//! Fields one after the other, as C lays them out: each is aligned to its size.

/// Reads the fields of a block or of an entry in its table, which may end early: from there
/// on every field is `None`.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes per word.
    width: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], width: u8) -> Self {
        Cursor { bytes, at: 0, width: usize::from(width) }
    }

    /// Continues at `offset`.
    pub fn go_to(&mut self, offset: usize) {
        self.at = offset;
    }

    fn take<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        let start = self.at.next_multiple_of(SIZE);
        self.at = start + SIZE;
        self.bytes.get(start..self.at)?.try_into().ok()
    }

    /// Aligns the position for a structure that contains a word.
    pub fn align_to_word(&mut self) {
        self.at = self.at.next_multiple_of(self.width.max(1));
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_le_bytes)
    }

    /// An address or a count.
    pub fn word(&mut self) -> Option<u64> {
        if self.width == 4 {
            self.u32().map(u64::from)
        } else {
            self.take().map(u64::from_le_bytes)
        }
    }
}
