//! What may undo residency, or needs it: calls of the program's, forks, and
//! ends of threads.
//!
//! [`registration`] is sigaltstack(2), [`handlers`] sigaction(2),
//! [`memory_calls`] everything that changes mappings, [`fork`] forks. The hooks
//! call nothing else for these.

pub mod fork;
pub mod handlers;
pub mod memory_calls;
pub mod registration;
mod thread_end;

pub use thread_end::thread_end;
