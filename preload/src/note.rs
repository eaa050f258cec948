//! The ELF note that leads to the published block: see
//! `docs/published-block.md`.
//!
//! The distance from the note to the block is the same wherever the library is
//! loaded: it needs no relocation and no symbol, and survives `strip`.

use core::arch::global_asm;

use sigward_core::state::published_block::{BLOCK, NOTE_NAME, NOTE_TYPE};

global_asm!(
    ".pushsection .note.sigward, \"a\", @note",
    ".balign 4",
    ".long {name}, 4, {kind}",
    ".asciz \"sigward\"",
    ".long {block} - .",
    ".popsection",
    name = const NOTE_NAME.len(),
    kind = const NOTE_TYPE,
    block = sym BLOCK,
);

const _: () = assert!(matches!(&NOTE_NAME, b"sigward\0"));
