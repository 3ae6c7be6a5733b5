//! The worked cases beside the law (`examples.toml`): read with the loader's own reader, run through the pure decisions.
//!
//! Four kinds: a bill with its payers (`case`), a binding to be filed (`filing`), two regions and a relation (`sharing`), and the
//! text of a value (`reads`), for what none of the others can show.

mod bill;
mod coverage;
mod filing;
mod proof;

use jiff::civil::Date;

use super::PolicyFiles;
use super::error::{PolicyError, Problems};
use super::reader::{Doc, Node, Table};
use super::value::{Named, name_of};
use crate::domain::ids::{MemberId, RegionCode};
use crate::domain::member::{Insurance, Member};
use crate::domain::policy::{Param, PolicyBook};
use crate::domain::vocabulary::{InsuranceState, Scheme, Sex};

pub use coverage::{Side, uncovered};
pub use proof::{Unshown, unshown};

/// The kinds of case, by the name of their list.
const KINDS: [&str; 4] = ["case", "filing", "sharing", "reads"];

/// One worked case.
#[derive(Clone, Debug)]
pub struct WorkedCase {
    pub folder: String,
    pub file: String,
    pub line: usize,
    pub name: String,
    /// The keys it shows; `cross_province` for openings.
    pub rules: Vec<String>,
    /// The rows of the founding documents it answers: `E38`.
    pub seeds: Vec<String>,
    pub on: Date,
    ask: Ask,
}

#[derive(Clone, Debug)]
enum Ask {
    Bill(Box<bill::BillCase>),
    Filing(Box<filing::FilingCase>),
    Sharing(filing::SharingCase),
    Reads(filing::ReadsCase),
}

/// What a case expects and what came out, as text; equal where it passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub expected: String,
    pub found: String,
}

impl Outcome {
    pub fn passes(&self) -> bool {
        self.expected == self.found
    }
}

impl WorkedCase {
    /// Runs the case under a book.
    pub fn run(&self, book: &PolicyBook) -> Outcome {
        match &self.ask {
            Ask::Bill(case) => case.run(book, self.on),
            Ask::Filing(case) => case.run(book, self.on),
            Ask::Sharing(case) => case.run(book, self.on),
            Ask::Reads(case) => case.run(book, self.on, &self.rules),
        }
    }

    /// The regions it looks at.
    fn regions(&self) -> Vec<RegionCode> {
        match &self.ask {
            Ask::Bill(case) => case.regions(),
            Ask::Filing(case) => case.regions(),
            Ask::Sharing(case) => case.regions(),
            Ask::Reads(case) => vec![case.region],
        }
    }

    pub fn kind(&self) -> &'static str {
        match self.ask {
            Ask::Bill(_) => KINDS[0],
            Ask::Filing(_) => KINDS[1],
            Ask::Sharing(_) => KINDS[2],
            Ask::Reads(_) => KINDS[3],
        }
    }
}

/// Reads every `examples.toml`, or says everything that is wrong with them.
pub fn read(files: &PolicyFiles) -> Result<Vec<WorkedCase>, PolicyError> {
    let mut problems = Problems::default();
    let mut cases = Vec::new();
    for (file, text) in &files.0 {
        let Some(folder) = file.strip_suffix("/examples.toml") else { continue };
        let doc = Doc { file, text };
        let Some(parsed) = doc.parse(&mut problems) else { continue };
        let mut root = Table::root(&doc, parsed.get_ref());
        for kind in KINDS {
            let nodes = root.get(kind).and_then(|node| node.items(&mut problems)).unwrap_or_default();
            cases.extend(nodes.iter().filter_map(|node| case(kind, folder, file, node, &mut problems)));
        }
        root.finish(&mut problems);
    }
    if problems.is_empty() { Ok(cases) } else { Err(problems.into_error()) }
}

fn case(kind: &str, folder: &str, file: &str, node: &Node<'_>, problems: &mut Problems) -> Option<WorkedCase> {
    let mut table = node.table(problems)?;
    let name = table.get("name").and_then(|node| node.filled(problems)).unwrap_or_default().to_owned();
    let rules = table.need("rule", problems).and_then(|node| {
        let rules: Vec<String> = node.filled(problems)?.split(", ").map(str::to_owned).collect();
        for rule in rules.iter().filter(|rule| *rule != "cross_province" && Param::parse(rule).is_none()) {
            node.refuse(problems, format!("{rule:?} is not a key of policies"));
        }
        Some(rules)
    });
    let seeds = table.get("seed").and_then(|node| node.filled(problems)).unwrap_or_default();
    let seeds = seeds.split(", ").filter(|seed| !seed.is_empty()).map(str::to_owned).collect();
    let on = table.need("on", problems).and_then(|node| node.day(problems));
    let ask = match kind {
        "case" => bill::read(&mut table, problems).map(|case| Ask::Bill(Box::new(case))),
        "filing" => filing::filing(&mut table, problems).map(|case| Ask::Filing(Box::new(case))),
        "sharing" => filing::sharing(&mut table, problems).map(Ask::Sharing),
        _ => filing::reads(&mut table, problems).map(Ask::Reads),
    };
    let line = node.line();
    table.finish(problems);
    let rules = rules?;
    let name = if name.is_empty() { format!("{} on {}", rules.join(", "), on?) } else { name };
    Some(WorkedCase { folder: folder.to_owned(), file: file.to_owned(), line, name, rules, seeds, on: on?, ask: ask? })
}

/// A word of a closed list, or what it is where the key is left out.
fn word_or<T: Named>(table: &mut Table<'_>, key: &'static str, default: T, problems: &mut Problems) -> Option<T> {
    table.get(key).map_or(Some(default), |node| name_of(&node, problems))
}

fn region_of(table: &mut Table<'_>, key: &'static str, problems: &mut Problems) -> Option<RegionCode> {
    let node = table.need(key, problems)?;
    let code = RegionCode::parse(node.text(problems)?);
    if code.is_none() {
        node.refuse(problems, "is not a code of six digits");
    }
    code
}

/// A person of a case: where insured, how, with an account or not.
fn person(table: &mut Table<'_>, number: u128, problems: &mut Problems) -> Option<Member> {
    let region = region_of(table, "region", problems);
    let scheme = word_or(table, "scheme", Scheme::Employee, problems);
    let state = word_or(table, "state", InsuranceState::Normal, problems);
    let tier = table.get("tier").and_then(|node| node.filled(problems)).unwrap_or_default().to_owned();
    let has_account = table.get("has_account").map(|node| node.flag(problems));
    let scheme = scheme?;
    let insurance = Insurance {
        scheme,
        tier,
        state: state?,
        region: region?,
        has_account: has_account.unwrap_or(Some(scheme == Scheme::Employee))?,
        start: jiff::civil::date(2000, 1, 1),
    };
    Some(Member { id: MemberId::from_u128(number), sex: Sex::Female, insurance })
}
