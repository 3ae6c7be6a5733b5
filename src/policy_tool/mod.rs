//! `gongji policy …`: the law as a package that policy people check, try, read and compare. Prints; changes nothing.

mod check;
mod diff;
mod replay;
mod show;
mod test;
mod whatif;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::civil::Date;

use crate::domain::ids::RegionCode;
use crate::domain::policy::{Policy, PolicyBook};
use crate::domain::time::parse_day;
use crate::policy::words::Language;
use crate::policy::{self, PolicyFiles};
use crate::terminal::put;

/// Where the policy files are.
#[derive(Debug, Args)]
pub struct Source {
    /// A directory of policy files; left out: the copy inside this program.
    #[arg(long, env = "GONGJI_POLICIES", value_name = "DIR", global = true)]
    policies: Option<PathBuf>,
}

/// What to do with the policies.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    source: Source,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read every file and say everything that is wrong, with file, line and key.
    ///
    /// Gaps, overlaps, days and rows that nothing reaches, missing citations, unknown keys, amounts and rates out of range:
    /// a server would refuse to start. Values without a worked case on both sides of their first day and sources that no value
    /// cites are advice; --strict makes them count.
    Check(check::Options),
    /// Run every worked case (examples.toml) and print them as a table.
    Test(test::Options),
    /// Print the rules of a region on a day as a page: what holds, since when, by which document, how sure.
    Show(show::Options),
    /// Say in words what changed in a region between two days.
    Diff(diff::Options),
    /// Replay the settlements of a period under a draft: how many outcomes change, who pays more or less, and why.
    ///
    /// Reads the data directory of a stopped server and writes nothing into the ledger.
    Whatif(whatif::Options),
}

/// Runs one of the commands.
pub fn run(options: &Options) -> Result<(), String> {
    let files = files(options.source.policies.as_deref())?;
    match &options.command {
        Command::Check(options) => check::run(options, &files),
        Command::Test(options) => test::run(options, &files),
        Command::Show(options) => show::run(options, &load(&files)?),
        Command::Diff(options) => diff::run(options, &load(&files)?),
        Command::Whatif(options) => whatif::run(options, &files),
    }
}

/// Prints a whole text.
fn print(text: &str) -> Result<(), String> {
    put!("{text}");
    Ok(())
}

fn files(folder: Option<&Path>) -> Result<PolicyFiles, String> {
    folder.map_or_else(
        || Ok(PolicyFiles::embedded()),
        |folder| PolicyFiles::from_dir(folder).map_err(|error| format!("{}: {error}", folder.display())),
    )
}

fn load(files: &PolicyFiles) -> Result<PolicyBook, String> {
    policy::load(files).map_err(|error| error.to_string())
}

/// A region by its code, its name or an alias.
fn region(book: &PolicyBook, text: &str) -> Result<RegionCode, String> {
    if let Some(code) = RegionCode::parse(text) {
        let known = book.regions.get(code).filter(|region| region.level.is_pool());
        return known.map(|region| region.code).ok_or_else(|| format!("{text} is no pooling region"));
    }
    let named = |region: &&crate::domain::region::Region| {
        region.level.is_pool() && (region.name == text || region.aliases.iter().any(|alias| alias == text))
    };
    let found: Vec<_> = book.regions.iter().filter(named).collect();
    match found[..] {
        [region] => Ok(region.code),
        [] => Err(format!("no pooling region is called {text}; give its six digits")),
        _ => {
            let codes: Vec<String> = found.iter().map(|region| format!("{} {}", region.code, region.name)).collect();
            Err(format!("{text} is several: {}", codes.join(", ")))
        }
    }
}

fn policy_on(book: &PolicyBook, region: RegionCode, on: Date) -> Result<&Policy, String> {
    let policy = book.policy(region, on).map(std::convert::AsRef::as_ref);
    policy.ok_or_else(|| format!("no law is recorded for {region} on {on}"))
}

fn name_of(book: &PolicyBook, region: RegionCode) -> String {
    book.regions.get(region).map_or_else(|| region.to_string(), |region| format!("{} {}", region.name, region.code))
}

fn read_day(text: &str) -> Result<Date, String> {
    parse_day(text).ok_or_else(|| "must be a day such as 2024-07-26".to_owned())
}

/// The languages of a page.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Languages {
    /// 中文
    Zh,
    /// English
    En,
    /// One after the other
    Both,
}

impl Languages {
    fn list(self) -> &'static [Language] {
        match self {
            Self::Zh => &[Language::Chinese],
            Self::En => &[Language::English],
            Self::Both => &[Language::Chinese, Language::English],
        }
    }
}
