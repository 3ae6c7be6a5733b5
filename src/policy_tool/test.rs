//! `gongji policy test`.

use std::fmt::Write as _;

use clap::Args;

use crate::policy::{PolicyFiles, cases};

#[derive(Debug, Args)]
pub struct Options {
    /// Only cases of this folder: 440300-shenzhen.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    /// Print failed cases only.
    #[arg(long)]
    failed: bool,
}

pub fn run(options: &Options, files: &PolicyFiles) -> Result<(), String> {
    let book = super::load(files)?;
    let cases = cases::read(files).map_err(|error| error.to_string())?;
    let (values, sides) = cases::uncovered(files, &cases);
    let (tried, unshown) = cases::unshown(files, &cases).map_err(|error| error.to_string())?;
    let wanted = |case: &&cases::WorkedCase| options.folder.as_ref().is_none_or(|folder| case.folder == *folder);
    let chosen: Vec<_> = cases.iter().filter(wanted).collect();
    if let Some(folder) = options.folder.as_ref().filter(|_| chosen.is_empty()) {
        return Err(format!("--folder: {folder} has no cases; a folder of the policies such as 440300-shenzhen"));
    }
    let place = |case: &cases::WorkedCase| format!("{}:{}", case.file, case.line);
    let width = chosen.iter().map(|case| place(case).len()).max().unwrap_or(0);
    let rules = chosen.iter().map(|case| case.rules.join(", ").len()).max().unwrap_or(0).min(40);
    let (mut failed, mut out) = (0, String::new());
    for case in &chosen {
        let outcome = case.run(&book);
        let passes = outcome.passes();
        failed += usize::from(!passes);
        if options.failed && passes {
            continue;
        }
        let (verdict, place, rule) = (if passes { "ok  " } else { "FAIL" }, place(case), case.rules.join(", "));
        _ = writeln!(out, "{verdict}  {place:width$}  {}  {:7}  {rule:rules$}  {}", case.on, case.kind(), case.name);
        if !passes {
            _ = writeln!(out, "      expected {}\n      found    {}", outcome.expected, outcome.found);
        }
    }
    _ = writeln!(
        out,
        "{} cases, {failed} failed; {values} dated values, {} sides without a case; {tried} values taken out in turn, {} that no case rests on",
        chosen.len(),
        sides.len(),
        unshown.len()
    );
    for value in &unshown {
        let why =
            if value.restates { "restates what holds without it" } else { "no case comes out otherwise without it" };
        _ = writeln!(out, "      {} {} from {}: {why}", value.place, value.key, value.start);
    }
    super::print(&out)?;
    match (failed, unshown.len()) {
        (0, 0) => Ok(()),
        (0, unshown) => Err(format!("{unshown} values could be taken out and no case would tell")),
        (failed, _) => Err(format!("{failed} cases came out otherwise than written")),
    }
}
