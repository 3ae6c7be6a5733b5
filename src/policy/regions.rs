//! Reads `regions.csv` and the openings for cross-province sharing.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Problems;
use super::parse::{Layer, NATIONAL};
use super::sources::Sources;
use super::table::{Row, rows};
use crate::domain::ids::RegionCode;
use crate::domain::region::{Opening, Region, RegionLevel};
use crate::domain::relation_codes::{RelationCode, RelationCodes};
use crate::domain::vocabulary::Relation;

/// The names of the tables.
pub(super) const REGIONS: &str = "regions.csv";
pub(super) const OPENINGS: &str = "national/cross_province.csv";
pub(super) const RELATION_CODES: &str = "national/relation_codes.csv";

const REGION_COLUMNS: &[&str] =
    &["code", "name", "aliases", "parent", "level", "valid_from", "valid_to", "policy", "source", "grade"];
const OPENING_COLUMNS: &[&str] = &["unit", "since", "source", "grade", "note"];
const CODE_COLUMNS: &[&str] = &["code", "relations", "name", "source", "grade"];

/// Pool, municipality, province: no chain of parents is longer.
const MAX_DEPTH: usize = 4;

/// The regions by code, and which folder each pool follows.
#[derive(Default)]
pub(super) struct Read {
    pub regions: BTreeMap<RegionCode, Region>,
    pub follows: BTreeMap<RegionCode, String>,
}

/// Reads all regions; `folders` are those that have a `policy.toml`, readable or not.
pub(super) fn regions(text: &str, sources: &Sources, folders: &BTreeSet<&str>, problems: &mut Problems) -> Read {
    let table = rows(REGIONS, text, REGION_COLUMNS, problems);
    let mut read = Read::default();
    for row in &table {
        let Some(region) = region(row, sources, problems) else { continue };
        if let Some(folder) = followed(row, region.level, folders, problems) {
            read.follows.insert(region.code, folder);
        }
        if read.regions.insert(region.code, region).is_some() {
            row.refuse(problems, "code", format!("{} is named twice", row.get("code")));
        }
    }
    for row in &table {
        check_parent(row, &read.regions, problems);
    }
    read
}

/// Every folder but the national one belongs to a region that knows of it.
pub(super) fn check_folders(layers: &BTreeMap<String, Layer>, read: &Read, problems: &mut Problems) {
    for layer in layers.values().filter(|layer| layer.folder != NATIONAL) {
        check_folder(layer, read, layers, problems);
    }
}

fn region(row: &Row, sources: &Sources, problems: &mut Problems) -> Option<Region> {
    let code = row.code("code", problems);
    if code == Some(RegionCode::NATIONAL) {
        row.refuse(problems, "code", "000000 stands for the nation and is no region");
    }
    let name = row.filled("name", problems);
    let level = level(row, problems);
    let parent = if row.get("parent").is_empty() { Some(None) } else { row.code("parent", problems).map(Some) };
    let valid_from = row.day("valid_from", problems);
    let valid_to = if row.get("valid_to").is_empty() { Some(None) } else { row.day("valid_to", problems).map(Some) };
    if let (Some(from), Some(Some(to))) = (valid_from, valid_to)
        && to <= from
    {
        row.refuse(problems, "valid_to", format!("{to} is not after valid_from {from}"));
    }
    let aliases: Vec<String> =
        row.get("aliases").split('|').filter(|alias| !alias.is_empty()).map(str::to_owned).collect();
    let citation = row.citation(row.get("code"), "", sources, problems);
    Some(Region {
        code: code?,
        name: name?.to_owned(),
        aliases,
        parent: parent?,
        level: level?,
        valid_from: valid_from?,
        valid_to: valid_to?,
        citation: citation?,
    })
}

fn level(row: &Row, problems: &mut Problems) -> Option<RegionLevel> {
    let text = row.get("level");
    let level = RegionLevel::ALL.into_iter().find(|level| level.name() == text);
    if level.is_none() {
        let known = RegionLevel::ALL.map(RegionLevel::name);
        row.refuse(problems, "level", format!("is {text:?}, not one of {}", known.join(", ")));
    }
    level
}

/// The folder a pool follows is written in its row: nothing is guessed from codes.
fn followed(row: &Row, level: RegionLevel, folders: &BTreeSet<&str>, problems: &mut Problems) -> Option<String> {
    let folder = row.get("policy");
    if !level.is_pool() {
        if !folder.is_empty() {
            row.refuse(problems, "policy", "must be empty: nobody is insured in a province node");
        }
        return None;
    }
    if folder.is_empty() {
        row.refuse(problems, "policy", "is empty: a pool names the folder it follows");
        return None;
    }
    if !folders.contains(folder) {
        row.refuse(problems, "policy", format!("{folder:?} is not a folder with a policy.toml"));
        return None;
    }
    Some(folder.to_owned())
}

fn check_parent(row: &Row, regions: &BTreeMap<RegionCode, Region>, problems: &mut Problems) {
    let Some(region) = RegionCode::parse(row.get("code")).and_then(|code| regions.get(&code)) else { return };
    // The Corps is a province by its code and a pool of its own kind.
    let alone = region.level == RegionLevel::Special && region.code == region.code.province();
    let is_root = alone || matches!(region.level, RegionLevel::ProvinceNode | RegionLevel::Municipality);
    match region.parent {
        None if is_root => {}
        None => row.refuse(problems, "parent", "is empty: only provinces and municipalities have no parent"),
        Some(_) if is_root => row.refuse(problems, "parent", "must be empty for a province or municipality"),
        Some(parent) if !regions.contains_key(&parent) => {
            row.refuse(problems, "parent", format!("{parent} is not a region of this file"));
        }
        Some(parent) if parent.province() != region.code.province() => {
            row.refuse(problems, "parent", format!("{parent} lies in another province"));
        }
        Some(parent) => {
            let climb = |code: &RegionCode| regions.get(code).and_then(|region| region.parent);
            if std::iter::successors(Some(parent), climb).take(MAX_DEPTH).count() == MAX_DEPTH {
                row.refuse(problems, "parent", format!("{parent} does not lead to a province"));
            }
        }
    }
}

/// A folder of a pool is followed by that pool; a folder of a province is extended or followed by somebody.
fn check_folder(layer: &Layer, read: &Read, layers: &BTreeMap<String, Layer>, problems: &mut Problems) {
    let Some(region) = read.regions.get(&layer.region) else {
        problems.add(&layer.file, 0, "region", format!("{} is not a code of regions.csv", layer.region));
        return;
    };
    if region.level.is_pool() && read.follows.get(&region.code) != Some(&layer.folder) {
        problems.add(&layer.file, 0, "region", format!("{} does not follow this folder in regions.csv", region.code));
    }
    let is_extended =
        layers.values().any(|other| other.extends.as_ref().is_some_and(|(name, _)| *name == layer.folder));
    if !is_extended && !read.follows.values().any(|folder| *folder == layer.folder) {
        problems.add(&layer.file, 0, "region", "is followed by no pool of regions.csv");
    }
}

/// Reads the openings; a unit is a region or a province by its node.
pub(super) fn openings(
    text: &str,
    sources: &Sources,
    regions: &BTreeMap<RegionCode, Region>,
    problems: &mut Problems,
) -> BTreeMap<RegionCode, Opening> {
    let mut openings = BTreeMap::new();
    for row in rows(OPENINGS, text, OPENING_COLUMNS, problems) {
        let unit = row.code("unit", problems);
        let since = row.day("since", problems);
        // Another name than that of the unit's own row in the table of regions.
        let citation = row.citation(&format!("open-{}", row.get("unit")), row.get("note"), sources, problems);
        if let Some(unit) = unit.filter(|unit| !regions.contains_key(unit)) {
            row.refuse(problems, "unit", format!("{unit} is not a code of regions.csv"));
        }
        let (Some(unit), Some(since), Some(citation)) = (unit, since, citation) else { continue };
        if openings.insert(unit, Opening { unit, since, citation }).is_some() {
            row.refuse(problems, "unit", format!("{unit} is named twice"));
        }
    }
    openings
}

/// Reads the code table of relations; an empty cell of `relations` is none of those that any law names.
pub(super) fn relation_codes(text: &str, sources: &Sources, problems: &mut Problems) -> RelationCodes {
    let mut codes = RelationCodes::default();
    for row in rows(RELATION_CODES, text, CODE_COLUMNS, problems) {
        let code = row.get("code");
        let good = (1..=2).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit());
        if !good {
            row.refuse(problems, "code", format!("{code:?} is not a code of one or two digits"));
        }
        let names = row.get("relations").split('|').filter(|name| !name.is_empty());
        let relations: Vec<Relation> = names
            .filter_map(|name| {
                let relation = Relation::parse(name);
                if relation.is_none() {
                    row.refuse(problems, "relations", format!("{name:?} is no relation"));
                }
                relation
            })
            .collect();
        let name = row.filled("name", problems).map(str::to_owned);
        let citation = row.citation(code, "", sources, problems);
        let (Some(name), Some(citation)) = (name, citation) else { continue };
        if codes.0.insert(code.to_owned(), RelationCode { relations, name, citation }).is_some() {
            row.refuse(problems, "code", format!("{code} is named twice"));
        }
    }
    codes
}
