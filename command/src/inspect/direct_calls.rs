//! System calls that code makes itself, with the `syscall` instruction: the library does
//! not see them.
//!
//! The code is not disassembled. A number that is put into EAX and a `syscall` shortly
//! after it are enough of a sign; the instruction alone is not, as its two bytes occur in
//! other instructions.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// The calls that matter, by number on x86-64.
const CALLS: [(u32, &str); 8] = [
    (131, "sigaltstack"),
    (13, "rt_sigaction"),
    (28, "madvise"),
    (11, "munmap"),
    (25, "mremap"),
    (56, "clone"),
    (57, "fork"),
    (61, "wait4"),
];

/// The instruction is looked for in this many bytes behind the number.
const NEAR: usize = 24;

const CHUNK: usize = 1 << 20;

/// No more than this is read.
const MOST: u64 = 1 << 30;

/// The names of the calls in the code of an x86-64 file, in the table's order.
pub fn find(file: &File, code: &[(u64, u64)]) -> Vec<&'static str> {
    let mut seen = [false; CALLS.len()];
    let mut left = MOST;
    let mut buffer = vec![0; CHUNK + NEAR + 8];
    for &(offset, size) in code {
        let (mut at, end) = (offset, offset.saturating_add(size.min(left)));
        left -= size.min(left);
        while at < end {
            // The chunks overlap, so that nothing falls between two.
            let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            let Some(into) = buffer.get_mut(..want) else { break };
            let Ok(read @ 1..) = file.read_at(into, at) else { break };
            scan(buffer.get(..read).unwrap_or_default(), &mut seen);
            at += CHUNK.min(read) as u64;
        }
    }
    CALLS.iter().zip(seen).filter(|(_, seen)| *seen).map(|((_, name), _)| *name).collect()
}

fn scan(code: &[u8], seen: &mut [bool; CALLS.len()]) {
    /// `mov eax, imm32`; `mov rax, imm32` ends in C7 C0 and the same four bytes.
    const MOV: u8 = 0xb8;
    for (at, byte) in code.iter().enumerate() {
        let wide = *byte == 0xc0 && at > 0 && code.get(at - 1) == Some(&0xc7);
        if *byte != MOV && !wide {
            continue;
        }
        let Some(number) = code.get(at + 1..at + 5).and_then(|four| four.try_into().ok()) else {
            return;
        };
        let number = u32::from_le_bytes(number);
        let Some(index) = CALLS.iter().position(|(call, _)| *call == number) else { continue };
        let behind = code.get(at + 5..code.len().min(at + 5 + NEAR)).unwrap_or_default();
        let Some(call) = behind.windows(2).position(|two| two == [0x0f, 0x05]) else { continue };
        // Another number in between would be the one that counts.
        let between = behind.get(..call).unwrap_or_default();
        let other = between.windows(5).any(|five| five[0] == MOV && five[2..] == [0, 0, 0]);
        if !other && let Some(seen) = seen.get_mut(index) {
            *seen = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &[u8]) -> Vec<&'static str> {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(code, 0).unwrap();
        find(&file, &[(0, code.len() as u64)])
    }

    #[test]
    fn a_number_and_the_instruction_are_a_call() {
        // mov eax, 131; syscall
        assert_eq!(found(&[0xb8, 131, 0, 0, 0, 0x0f, 0x05]), ["sigaltstack"]);
        // mov rax, 131; mov rdi, rsp; syscall
        let wide = [0x48, 0xc7, 0xc0, 131, 0, 0, 0, 0x48, 0x89, 0xe7, 0x0f, 0x05];
        assert_eq!(found(&wide), ["sigaltstack"]);
    }

    #[test]
    fn less_than_that_is_none() {
        assert!(found(&[0x0f, 0x05]).is_empty());
        assert!(found(&[0xb8, 131, 0, 0, 0, 0xc3]).is_empty());
        // mov eax, 131; mov eax, 39; syscall
        assert!(found(&[0xb8, 131, 0, 0, 0, 0xb8, 39, 0, 0, 0, 0x0f, 0x05]).is_empty());
        assert!(found(&[]).is_empty());
        assert!(found(&[0xb8, 131]).is_empty());
    }

    #[test]
    fn a_call_across_two_chunks_is_found() {
        for before in CHUNK - 8..CHUNK + 2 {
            let mut code = vec![0x90; before];
            code.extend([0xb8, 131, 0, 0, 0, 0x0f, 0x05]);
            assert_eq!(found(&code), ["sigaltstack"], "{before}");
        }
    }
}
