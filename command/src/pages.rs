//! Completions for shells and pages for man, made from the arguments that the program takes, in the folders of an
//! installed tree.

use crate::commands;
use clap_complete::Shell;
use std::io;
use std::path::Path;

/// Writes all of them below a folder such as `share`.
pub fn write(folder: &Path) -> io::Result<()> {
    let shells = [
        (Shell::Bash, "bash-completion/completions", "tenure"),
        (Shell::Zsh, "zsh/site-functions", "_tenure"),
        (Shell::Fish, "fish/vendor_completions.d", "tenure.fish"),
    ];
    for (shell, place, name) in shells {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut commands::parser(), "tenure", &mut text);
        std::fs::create_dir_all(folder.join(place))?;
        std::fs::write(folder.join(place).join(name), text)?;
    }
    let manual = folder.join("man/man1");
    std::fs::create_dir_all(&manual)?;
    clap_mangen::generate_to(commands::parser(), &manual)
}
