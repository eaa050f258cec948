//! Every `SIGWARD_*` variable: one table, one parser over bytes.
//!
//! Tests check the README, `docs/environment.md` and the command against
//! [`TABLE`]. [`parse()`] is async-signal-safe: it does not allocate or panic,
//! makes no system call, and reads only its arguments. In an environment
//! without `SIGWARD` variables it costs one prefix comparison per variable.

mod parse;
pub mod preload;
mod settings;
mod signals;
mod table;
mod values;

pub use parse::{BadValue, PREFIX, base_name, glob_matches, parse};
pub use settings::{Config, Shown};
pub use signals::Signals;
pub use table::{Accepted, TABLE, Variable};
pub use values::{
    Altstack, AltstackAll, Depth, Fork, Inherit, Log, Mode, SmallStacks, Stack, Stats, Wait,
    WaitEintr,
};

#[cfg(test)]
mod tests;
