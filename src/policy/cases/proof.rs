//! Which dated values no worked case rests on: each is taken out in turn, and some case that names it must then come out
//! otherwise. A case that only stands beside a value shows nothing.
//!
//! A value gives way to the one before it in its file, as if the change had not come; the first of a folder to what the folder
//! extends, and the first of the nation to no rule at all. Where no rule at all says the same (a limit of "none"), there is
//! nothing that a case could show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;

use super::WorkedCase;
use crate::domain::ids::RegionCode;
use crate::domain::policy::{Param, Policy, PolicyBook};
use crate::policy::error::{PolicyError, Problems};
use crate::policy::parse::{Entry, Given, Layer, NATIONAL};
use crate::policy::{PolicyFiles, regions, resolve, value};

/// A dated value that could be taken out without any case coming out otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unshown {
    pub folder: String,
    pub key: &'static str,
    pub start: Date,
    /// File and line of the entry.
    pub place: String,
    /// It says throughout its life what holds without it.
    pub restates: bool,
}

/// How many values a case could rest on, and those on which none rests.
pub fn unshown(files: &PolicyFiles, cases: &[WorkedCase]) -> Result<(usize, Vec<Unshown>), PolicyError> {
    let book = crate::policy::load(files)?;
    let mut problems = Problems::default();
    let (shared, layers) = crate::policy::layers(files, &mut problems);
    let folders: BTreeSet<&str> = files.folders().map(|(folder, _)| folder).collect();
    let text = files.get(regions::REGIONS).unwrap_or_default();
    let follows = regions::regions(text, &shared, &folders, &mut problems).follows;
    let mut bench = Bench { book, layers, follows, folders: folders.into_iter().map(str::to_owned).collect() };
    let (mut tried, mut found) = (0, Vec::new());
    for folder in bench.folders.clone() {
        for param in Param::ALL {
            let count = bench.entries(&folder, *param).len();
            for place in 0..count {
                match bench.try_without(&folder, *param, place, cases) {
                    Tried::NothingToShow => {}
                    Tried::Shown => tried += 1,
                    Tried::Not(unshown) => {
                        tried += 1;
                        found.push(unshown);
                    }
                }
            }
        }
    }
    Ok((tried, found))
}

enum Tried {
    NothingToShow,
    Shown,
    Not(Unshown),
}

/// The whole tree, of which one value at a time is missing.
struct Bench {
    book: PolicyBook,
    layers: BTreeMap<String, Layer>,
    follows: BTreeMap<RegionCode, String>,
    folders: BTreeSet<String>,
}

impl Bench {
    fn entries(&self, folder: &str, param: Param) -> &[Arc<Entry>] {
        self.layers.get(folder).and_then(|layer| layer.entries.get(&param)).map(Vec::as_slice).unwrap_or_default()
    }

    fn try_without(&mut self, folder: &str, param: Param, place: usize, cases: &[WorkedCase]) -> Tried {
        let entry = Arc::clone(&self.entries(folder, param)[place]);
        let Some(given) = &entry.given else { return Tried::NothingToShow };
        let instead = self.instead(folder, param, place, given);
        let other = Entry { start: entry.start, end: entry.end, given: instead };
        self.put(folder, param, place, Arc::new(other));
        let named = |case: &&WorkedCase| case.rules.iter().any(|rule| rule == param.name());
        let touching: Vec<&WorkedCase> = cases.iter().filter(named).collect();
        let book = self.book_of(&touching, folder);
        let shown = touching.iter().any(|case| !case.run(&book).passes());
        let restates = !shown && !self.differs(folder);
        self.put(folder, param, place, Arc::clone(&entry));
        if shown {
            return Tried::Shown;
        }
        if restates && folder == NATIONAL {
            return Tried::NothingToShow;
        }
        let (folder, place) = (folder.to_owned(), given.place.clone());
        Tried::Not(Unshown { folder, key: param.name(), start: entry.start, place, restates })
    }

    /// What a value gives way to; none where the folder says nothing then.
    fn instead(&self, folder: &str, param: Param, place: usize, given: &Given) -> Option<Given> {
        let before = place.checked_sub(1).and_then(|place| self.entries(folder, param)[place].given.as_ref());
        match before {
            Some(before) => Some(before.clone()),
            None if folder == NATIONAL => Some(Given { value: value::Value::nothing(), ..given.clone() }),
            None => None,
        }
    }

    fn put(&mut self, folder: &str, param: Param, place: usize, entry: Arc<Entry>) {
        let entries = self.layers.get_mut(folder).and_then(|layer| layer.entries.get_mut(&param));
        if let Some(entries) = entries {
            entries[place] = entry;
        }
    }

    /// Whether any region comes to other rules than in the whole book.
    fn differs(&self, folder: &str) -> bool {
        let mut seen = BTreeSet::new();
        let touched = self.follows.iter().filter(|(_, follows)| self.leads_to(follows, folder));
        touched.filter(|(_, follows)| seen.insert(follows.as_str())).any(|(region, follows)| {
            let now = resolve::revisions(follows, &self.layers);
            let was = self.book.revisions(*region);
            let starts = now.iter().map(|template| template.policy().revision.start);
            starts.chain(was.iter().map(|policy| policy.revision.start)).any(|on| {
                let now = now.iter().rev().find(|template| template.policy().revision.start <= on);
                let was = self.book.policy(*region, on);
                now.map(|template| &template.policy().rules) != was.map(|policy| &policy.rules)
            })
        })
    }

    /// The book with what follows the folder put together anew, as far as the cases look at it.
    fn book_of(&self, cases: &[&WorkedCase], folder: &str) -> PolicyBook {
        let of_cases: BTreeSet<RegionCode> = cases.iter().flat_map(|case| case.regions()).collect();
        let mut made: BTreeMap<&str, Vec<resolve::Template>> = BTreeMap::new();
        let mut revisions: BTreeMap<RegionCode, Vec<Arc<Policy>>> = BTreeMap::new();
        for region in of_cases {
            let Some(follows) = self.follows.get(&region) else { continue };
            let list = if self.leads_to(follows, folder) {
                let made = made.entry(follows).or_insert_with(|| resolve::revisions(follows, &self.layers));
                made.iter().map(|template| Arc::new(template.of(region))).collect()
            } else {
                self.book.revisions(region).to_vec()
            };
            revisions.insert(region, list);
        }
        let PolicyBook { regions, calculation, digest, .. } = &self.book;
        PolicyBook::new(regions.clone(), revisions, calculation.clone(), *digest, Vec::new())
    }

    /// Whether a folder is another one or extends it.
    fn leads_to(&self, folder: &str, wanted: &str) -> bool {
        let parent = |folder: &&str| Some(self.layers.get(*folder)?.extends.as_ref()?.0.as_str());
        std::iter::successors(Some(folder), parent).any(|folder| folder == wanted)
    }
}
