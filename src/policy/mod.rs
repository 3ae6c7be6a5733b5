//! Policy files (`policies/`) become a [`PolicyBook`]. Read in this order: `files` and `error`, then how a text is read
//! (`reader`, `table`, `value`, `rows`, `canonical`, `sources`), then `parse` for one folder, `resolve` for what holds when, and
//! `regions`. What the files may say stands in `policies/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

mod calc;
mod calc_shapes;
mod calc_value;
mod canonical;
pub mod cases;
mod embedded;
mod error;
mod files;
mod json;
mod parse;
mod reader;
mod regions;
mod resolve;
mod rows;
mod sources;
mod table;
mod value;
pub mod words;

#[cfg(test)]
mod tests;

pub use error::{PolicyError, Problem};
pub use files::PolicyFiles;

use crate::domain::ids::RegionCode;
use crate::domain::policy::{Policy, PolicyBook, SetPart};
use crate::domain::region::{Opening, Region, RegionBook};
use error::Problems;
use parse::{Layer, NATIONAL};
use reader::{Doc, Table};
use regions::{OPENINGS, REGIONS, RELATION_CODES};
use resolve::update;
use sources::{SHARED, Sources};

/// Reads the whole tree, or says everything that is wrong with it. Nothing is guessed: a book that loads has a value with a
/// source for every key of every pool on every day since 1998-12-14.
pub fn load(files: &PolicyFiles) -> Result<PolicyBook, PolicyError> {
    let mut problems = Problems::default();
    let (shared, layers) = layers(files, &mut problems);
    let folders: BTreeSet<&str> = files.folders().map(|(folder, _)| folder).collect();
    let read = regions::regions(needed(files, REGIONS, &mut problems), &shared, &folders, &mut problems);
    regions::check_folders(&layers, &read, &mut problems);
    let national_sources = layers.get(NATIONAL).map_or(&shared, |layer| &layer.sources);
    let text = needed(files, OPENINGS, &mut problems);
    let openings = regions::openings(text, national_sources, &read.regions, &mut problems);
    let codes = needed(files, RELATION_CODES, &mut problems);
    let relation_codes = regions::relation_codes(codes, &shared, &mut problems);
    let calculation = calc::read(files, &shared, &read.regions, &mut problems);
    let templates = resolve::all(&layers, &folders, &mut problems);
    if !problems.is_empty() {
        return Err(problems.into_error());
    }
    let revisions: BTreeMap<RegionCode, Vec<Arc<Policy>>> = read
        .follows
        .iter()
        .filter_map(|(region, folder)| {
            let policies = templates.get(folder)?.iter().map(|template| Arc::new(template.of(*region))).collect();
            Some((*region, policies))
        })
        .collect();
    let mut digest = Sha256::new();
    digest.update(book_digest(&read.regions, &openings, &revisions));
    digest.update(calculation.digest);
    digest.update(Sha256::digest(codes));
    let mut parts: Vec<SetPart> = templates
        .iter()
        .flat_map(|(folder, templates)| templates.iter().map(|template| template.part(folder)))
        .collect();
    for (name, digest) in [
        (REGIONS, Sha256::digest(needed(files, REGIONS, &mut problems))),
        (OPENINGS, Sha256::digest(text)),
        (RELATION_CODES, Sha256::digest(codes)),
        ("calculation tables", calculation.digest.into()),
    ] {
        parts.push(SetPart { name: name.to_owned(), start: parse::FIRST_DAY, digest: resolve::first8(&digest) });
    }
    let mut regions = RegionBook::new(read.regions, openings);
    regions.relation_codes = relation_codes;
    Ok(PolicyBook::new(regions, revisions, calculation, digest.finalize().into(), parts))
}

/// What each folder says by itself, and the sources that all may use.
fn layers(files: &PolicyFiles, problems: &mut Problems) -> (Sources, BTreeMap<String, Layer>) {
    let shared = shared_sources(files, problems);
    let read = files.folders().filter_map(|(folder, text)| {
        parse::layer(folder, text, &shared, problems).map(|layer| (folder.to_owned(), layer))
    });
    let layers = read.collect();
    (shared, layers)
}

fn needed<'a>(files: &'a PolicyFiles, name: &str, problems: &mut Problems) -> &'a str {
    files.get(name).unwrap_or_else(|| {
        problems.add(name, 0, "", "is missing");
        ""
    })
}

fn shared_sources(files: &PolicyFiles, problems: &mut Problems) -> Sources {
    let doc = Doc { file: "sources.toml", text: needed(files, "sources.toml", problems) };
    let parsed = doc.parse(problems);
    parsed.map_or_else(Sources::default, |parsed| {
        Sources::read(SHARED, &Table::root(&doc, parsed.get_ref()), &Sources::default(), problems)
    })
}

/// One number for everything a decision may have read.
fn book_digest(
    regions: &BTreeMap<RegionCode, Region>,
    openings: &BTreeMap<RegionCode, Opening>,
    revisions: &BTreeMap<RegionCode, Vec<Arc<Policy>>>,
) -> [u8; 32] {
    let mut hash = Sha256::new();
    for region in regions.values() {
        let code = region.code.to_string();
        let parent = region.parent.map(|parent| parent.to_string()).unwrap_or_default();
        let from = region.valid_from.to_string();
        let to = region.valid_to.map(|to| to.to_string()).unwrap_or_default();
        let aliases = region.aliases.join("|");
        update(&mut hash, &["region", &code, &region.name, &aliases, &parent, region.level.name(), &from, &to]);
        resolve::cite(&mut hash, &region.citation);
    }
    for opening in openings.values() {
        let (unit, since) = (opening.unit.to_string(), opening.since.to_string());
        update(&mut hash, &["opening", &unit, &since]);
        resolve::cite(&mut hash, &opening.citation);
    }
    for policy in revisions.values().flatten() {
        hash.update(policy.revision.digest);
    }
    hash.finalize().into()
}
