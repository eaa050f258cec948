//! `sigward pages`: the manual pages and the shells' completions, made from the options
//! themselves. `make install` calls it; it is not in the help.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::Exit;
use super::failure::Failure;

/// Write manual pages and completions
///
/// Into share/man, share/bash-completion, share/zsh and share/fish of the folder.
#[derive(Args)]
pub struct Pages {
    /// Where they are installed, such as /usr/local
    prefix: PathBuf,
}

impl Pages {
    pub fn execute<C: CommandFactory>(&self) -> Result<Exit, Failure> {
        write::<C>(&self.prefix.join("share")).map(|()| Exit::Success).map_err(|error| {
            Failure::new(format!("cannot write pages into {}: {error}", self.prefix.display()))
                .remedy("give a folder in which you can write")
        })
    }
}

fn write<C: CommandFactory>(share: &Path) -> io::Result<()> {
    let folder = |name: &str| {
        let folder = share.join(name);
        fs::create_dir_all(&folder).map(|()| folder)
    };
    clap_mangen::generate_to(C::command(), folder("man/man1")?)?;
    for (shell, name) in [
        (Shell::Bash, "bash-completion/completions/sigward"),
        (Shell::Zsh, "zsh/site-functions/_sigward"),
        (Shell::Fish, "fish/vendor_completions.d/sigward.fish"),
    ] {
        let path = share.join(name);
        folder(Path::new(name).parent().and_then(Path::to_str).unwrap_or_default())?;
        clap_complete::generate(shell, &mut C::command(), "sigward", &mut fs::File::create(path)?);
    }
    Ok(())
}
