//! `gongji policy whatif`.

use std::path::PathBuf;

use clap::Args;

use crate::policy::PolicyFiles;

#[derive(Debug, Args)]
pub struct Options {
    /// The draft: a policy.toml that replaces the folder of its region.
    draft: PathBuf,
}

pub fn run(_: &Options, _: &PolicyFiles) -> Result<(), String> {
    Ok(())
}
