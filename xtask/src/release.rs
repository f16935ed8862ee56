//! `cargo xtask release`: the files of a release.

use crate::tools::Done;
use crate::{abi, old_programs};

pub fn main(options: &[&str]) -> Done {
    match options {
        ["--record"] => abi::record().and_then(|()| old_programs::record()),
        ["--compare"] => {
            let (compared, ran) = (abi::check()?, old_programs::check()?);
            println!("{compared} comparisons, {ran} programs ran");
            Ok(())
        }
        _ => Err(format!("release takes --record or --compare, not {}", options.join(" "))),
    }
}
