//! What the kernel says about a process: `/proc/PID` and its files. Parsers take any
//! bytes and skip what they do not know.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use super::super::inspect::escaped;

/// A mapping, from smaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    pub start: u64,
    pub end: u64,
    pub private: bool,
    /// `lo` among its flags; `None` where the kernel gives no flags.
    pub locked: Option<bool>,
}

/// Parses smaps.
pub fn areas(text: &str) -> Vec<Area> {
    let mut all: Vec<Area> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        let range = first.split_once('-').and_then(|(start, end)| {
            Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
        });
        if let Some((start, end)) = range {
            let private = words.next().is_some_and(|flags| flags.ends_with('p'));
            all.push(Area { start, end, private, locked: None });
        } else if first == "VmFlags:"
            && let Some(area) = all.last_mut()
        {
            area.locked = Some(words.any(|flag| flag == "lo"));
        }
    }
    all
}

/// How many bytes of `[start, end)` are locked; `None` if the kernel does not say.
pub fn locked(areas: &[Area], start: u64, end: u64) -> Option<u64> {
    let mut sum = 0;
    for area in areas {
        let common = area.end.min(end).saturating_sub(area.start.max(start));
        if common > 0 && area.locked? {
            sum += common;
        }
    }
    Some(sum)
}

/// Whether writes to all of `[start, end)` stay in the process.
pub fn private(areas: &[Area], start: u64, end: u64) -> bool {
    let outside = |area: &&Area| area.end > start && area.start < end && !area.private;
    areas.iter().find(outside).is_none()
}

/// The state of some pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    pub all: u64,
    pub present: u64,
    pub swapped: u64,
    /// Present, and mapped by others too: a fork shares it with a copy, so the next write
    /// to it faults. 0 where the kernel does not tell (before Linux 4.2).
    pub shared: u64,
}

/// The pages of a process, from pagemap.
pub struct Pagemap {
    file: File,
    page: u64,
    tells_shared: bool,
}

/// The bit of a page that no other process maps.
const EXCLUSIVE: u32 = 56;

impl Pagemap {
    /// Opens that of the process whose folder has this number.
    pub fn open(pid: u32, page: u64) -> Option<Self> {
        let page = page.max(1);
        let open = |folder: &str| File::open(format!("/proc/{folder}/pagemap")).ok();
        // A page that we have just written is ours alone: does the kernel say so?
        let own = vec![1_u8; usize::try_from(page).ok()?];
        let own_map = Pagemap { file: open("self")?, page, tells_shared: true };
        let address = own.as_ptr() as u64;
        let tells_shared = own_map.pages(address, address + 1).is_some_and(|own| own.shared == 0);
        Some(Pagemap { file: open(&pid.to_string())?, page, tells_shared })
    }

    /// The pages of `[start, end)`; `None` if they cannot be read, or are very many.
    pub fn pages(&self, start: u64, end: u64) -> Option<Pages> {
        const MOST: u64 = 1 << 16;
        let first = start / self.page;
        let count = end.div_ceil(self.page).checked_sub(first).filter(|count| *count <= MOST)?;
        let mut bytes = vec![0; usize::try_from(count).ok()? * 8];
        self.file.read_exact_at(&mut bytes, first.checked_mul(8)?).ok()?;
        let mut found = Pages { all: count, ..Pages::default() };
        for entry in bytes.chunks_exact(8) {
            let entry = u64::from_le_bytes(entry.try_into().ok()?);
            let bit = |number: u32| entry >> number & 1;
            found.present += bit(63);
            found.swapped += bit(62);
            let is_shared = bit(63) & !bit(EXCLUSIVE) & 1;
            found.shared += if self.tells_shared { is_shared } else { 0 };
        }
        Some(found)
    }
}

/// A `status` file.
pub struct Status(String);

impl Status {
    /// Reads that of a process or thread.
    ///
    /// # Errors
    /// If it is not there, or we may not read it.
    pub fn read(folder: &str) -> std::io::Result<Self> {
        fs::read(format!("{folder}/status"))
            .map(|bytes| Status(String::from_utf8_lossy(&bytes).into_owned()))
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| line.strip_prefix(name)?.strip_prefix(':').map(str::len);
        self.0.lines().find_map(|line| {
            let length = of(line)?;
            line.get(line.len() - length..).map(str::trim)
        })
    }

    /// The command's or thread's name, safe to print.
    pub fn name(&self) -> String {
        escaped(self.field("Name").unwrap_or_default().as_bytes())
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.split_whitespace().next()?.parse().ok()
    }

    /// Its number in its own pid namespace, where it differs.
    pub fn own_number(&self) -> Option<i32> {
        self.field("NSpid")?.split_whitespace().last()?.parse().ok()
    }

    /// Whether a capability is in force.
    pub fn capability(&self, number: u32) -> Option<bool> {
        let mask = u64::from_str_radix(self.field("CapEff")?, 16).ok()?;
        Some(mask >> number & 1 == 1)
    }

    /// The number of its process in that namespace.
    pub fn own_process(&self) -> Option<i32> {
        self.field("NStgid")?.split_whitespace().last()?.parse().ok()
    }

    /// The signals that have a handler, libc's own not counted: glibc's two, which are two
    /// of musl's three.
    pub fn caught(&self) -> Option<Vec<u8>> {
        let all = self.signals("SigCgt")?;
        Some(all.into_iter().filter(|signal| !matches!(signal, 32 | 33)).collect())
    }

    /// The signals in a mask.
    pub fn signals(&self, name: &str) -> Option<Vec<u8>> {
        let mask = u64::from_str_radix(self.field(name)?, 16).ok()?;
        Some((1..=64).filter(|number| mask >> (number - 1) & 1 == 1).collect())
    }
}

/// The soft and hard memlock limit of a process in bytes; `None` in them: no limit.
pub fn memlock(pid: u32) -> Option<(Option<u64>, Option<u64>)> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    let mut words = line.split_whitespace();
    let mut next = || words.next().map(|word| word.parse().ok());
    Some((next()?, next()?))
}

/// An entry of the auxiliary vector.
pub fn auxiliary(pid: u32, kind: u64) -> Option<u64> {
    let class = &mut [0; 5];
    File::open(format!("/proc/{pid}/exe")).ok()?.read_exact_at(class, 0).ok()?;
    let width = if class[4] == object::elf::ELFCLASS32.0 { 4 } else { 8 };
    auxiliary_entry(&fs::read(format!("/proc/{pid}/auxv")).ok()?, width, kind)
}

fn auxiliary_entry(vector: &[u8], width: usize, kind: u64) -> Option<u64> {
    let word = |bytes: &[u8]| {
        let mut whole = [0; 8];
        whole.get_mut(..width)?.copy_from_slice(bytes.get(..width)?);
        Some(u64::from_le_bytes(whole))
    };
    let mut entries = vector.chunks_exact(2 * width);
    entries.find_map(|entry| (word(entry)? == kind).then(|| word(&entry[width..]))?)
}

/// Numbers that name folders of `folder`: processes of `/proc`, or threads.
pub fn numbers(folder: &str) -> std::io::Result<Vec<u32>> {
    let entries = fs::read_dir(folder)?.filter_map(Result::ok);
    let mut all: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    all.sort_unstable();
    Ok(all)
}

/// The name of a signal.
pub fn signal_name(number: u8) -> String {
    match nix::sys::signal::Signal::try_from(i32::from(number)) {
        Ok(signal) => signal.as_str().trim_start_matches("SIG").to_owned(),
        Err(_) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
1000-3000 rw-p 00000000 00:00 0 \n\
Rss:                   8 kB\n\
Locked:                8 kB\n\
VmFlags: rd wr mr mw me lo ac \n\
3000-4000 rw-s 00000000 00:00 0 \n\
VmFlags: rd wr mr mw me ac \n\
garbage\n";

    #[test]
    fn locked_bytes_are_counted_within_a_range() {
        let all = areas(SMAPS);
        assert_eq!(all.len(), 2);
        assert_eq!(locked(&all, 0x1800, 0x4000), Some(0x1800));
        assert_eq!(locked(&all, 0x3000, 0x4000), Some(0));
        assert_eq!(locked(&all, 0x9000, 0xa000), Some(0));
        assert!(private(&all, 0x1000, 0x3000) && !private(&all, 0x2000, 0x3800));
    }

    #[test]
    fn a_kernel_without_flags_is_not_believed_to_lock_nothing() {
        let all = areas("1000-3000 rw-p 00000000 00:00 0 \nRss: 8 kB\n");
        assert_eq!(locked(&all, 0x1000, 0x2000), None);
    }

    #[test]
    fn an_auxiliary_vector_has_words_of_the_process() {
        let wide: Vec<u8> = [6_u64, 4096, 23, 1].iter().flat_map(|it| it.to_le_bytes()).collect();
        let narrow: Vec<u8> = [6_u32, 4096, 23, 1].iter().flat_map(|it| it.to_le_bytes()).collect();
        for (vector, width) in [(wide, 8), (narrow, 4)] {
            assert_eq!(auxiliary_entry(&vector, width, 23), Some(1));
            assert_eq!(auxiliary_entry(&vector, width, 6), Some(4096));
            assert_eq!(auxiliary_entry(&vector, width, 51), None);
        }
    }

    #[test]
    fn fields_of_a_status_are_found() {
        let status = Status("Name:\tcat\nNSpid:\t70\t3\nSigCgt:\t0000000000000402\n".to_owned());
        assert_eq!(status.field("Name"), Some("cat"));
        assert_eq!(status.own_number(), Some(3));
        assert_eq!(status.signals("SigCgt"), Some(vec![2, 11]));
        assert_eq!(status.number("VmLck"), None);
    }
}
