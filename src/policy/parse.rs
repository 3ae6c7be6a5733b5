//! Reads one `policy.toml` into a layer: the entries of each key in order, without gaps or overlaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::error::Problems;
use super::reader::{Doc, Node, Table};
use super::sources::{Sources, Vouched};
use super::value::{self, Value};
use crate::domain::ids::RegionCode;
use crate::domain::policy::{Citation, Param};
use crate::domain::vocabulary::Grade;

/// The only version of the file format so far.
const SCHEMA: i64 = 1;

/// The folder whose values hold where no other says otherwise.
pub(super) const NATIONAL: &str = "national";

/// The first day of the system (国发〔1998〕44号): national values begin here, and nothing is known before it.
pub(super) const FIRST_DAY: Date = jiff::civil::date(1998, 12, 14);

/// One folder's own say, before anything is inherited.
#[derive(Debug)]
pub(super) struct Layer {
    pub folder: String,
    pub file: String,
    pub region: RegionCode,
    /// The folder whose values hold where this one is silent, and the line that says so.
    pub extends: Option<(String, usize)>,
    pub sources: Sources,
    pub entries: BTreeMap<Param, Vec<Arc<Entry>>>,
}

/// One dated value of a file, or a span handed back to the parent.
#[derive(Debug)]
pub(super) struct Entry {
    pub start: Date,
    /// The first day on which the value no longer holds.
    pub end: Option<Date>,
    /// None where the entry says `inherit = true`.
    pub given: Option<Given>,
}

/// A value with its origin.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub value: Value,
    pub region: RegionCode,
    pub citation: Arc<Citation>,
    pub grade: Grade,
    pub known_from: Date,
    pub note: String,
    pub place: String,
}

/// Reads a whole file; what cannot be read is reported and left out.
pub(super) fn layer(folder: &str, text: &str, shared: &Sources, problems: &mut Problems) -> Option<Layer> {
    let file = format!("{folder}/policy.toml");
    let doc = Doc { file: &file, text };
    let parsed = doc.parse(problems)?;
    let mut root = Table::root(&doc, parsed.get_ref());
    if let Some(node) = root.need("schema", problems)
        && let Some(schema) = node.integer(problems)
        && schema != SCHEMA
    {
        node.refuse(problems, format!("is {schema}; this program reads {SCHEMA}"));
    }
    let region = root.need("region", problems).and_then(|node| region(folder, &node, problems));
    let extends = extends(folder, &mut root, problems);
    let sources = match root.get("sources").and_then(|node| node.table(problems)) {
        Some(table) => Sources::read(folder, &table, shared, problems),
        None => shared.clone(),
    };
    let region_code = region.unwrap_or(RegionCode::NATIONAL);
    let mut entries = BTreeMap::new();
    for param in Param::ALL.iter().copied() {
        let list = match root.get(param.name()) {
            Some(node) => param_entries(param, &node, region_code, &sources, problems),
            None if folder == NATIONAL => {
                root.refuse(problems, param.name(), "is missing: national values cover every key");
                Vec::new()
            }
            None => Vec::new(),
        };
        entries.insert(param, list);
    }
    root.finish(problems);
    Some(Layer { folder: folder.to_owned(), file: file.clone(), region: region?, extends, sources, entries })
}

/// The folder is named after its region, so that neither can be changed alone.
pub(super) fn region(folder: &str, node: &Node<'_>, problems: &mut Problems) -> Option<RegionCode> {
    let text = node.text(problems)?;
    let Some(code) = RegionCode::parse(text) else {
        node.refuse(problems, format!("{text:?} is not a code of six digits"));
        return None;
    };
    let named = if folder == NATIONAL { code == RegionCode::NATIONAL } else { folder.starts_with(&format!("{text}-")) };
    if !named {
        node.refuse(problems, format!("{text} does not match the folder {folder}"));
    }
    Some(code)
}

fn extends(folder: &str, root: &mut Table<'_>, problems: &mut Problems) -> Option<(String, usize)> {
    if folder == NATIONAL {
        if let Some(node) = root.get("extends") {
            node.refuse(problems, "is refused: national values extend nothing");
        }
        return None;
    }
    let node = root.need("extends", problems)?;
    Some((node.filled(problems)?.to_owned(), node.line()))
}

fn param_entries(
    param: Param,
    node: &Node<'_>,
    region: RegionCode,
    sources: &Sources,
    problems: &mut Problems,
) -> Vec<Arc<Entry>> {
    let Some(nodes) = node.items(problems) else { return Vec::new() };
    let mut entries: Vec<Arc<Entry>> = Vec::with_capacity(nodes.len());
    let is_national = region == RegionCode::NATIONAL;
    for (index, item) in nodes.iter().enumerate() {
        let Some((entry, start)) = entry(param, item, region, sources, problems) else { continue };
        match entries.last().map(|last| last.end) {
            Some(end) => follows(&start, end, entry.start, problems),
            None if index == 0 && is_national && entry.start != FIRST_DAY => {
                start.refuse(problems, format!("must be {FIRST_DAY}: national values cover every day"));
            }
            None => {}
        }
        entries.push(Arc::new(entry));
    }
    match (entries.last(), nodes.last()) {
        (Some(last), Some(item)) if is_national && last.end.is_some() => {
            let end = item.table(problems).and_then(|mut table| table.get("end"));
            end.as_ref().unwrap_or(item).refuse(problems, "must be left out: national values cover every day");
        }
        (None, _) if nodes.is_empty() => node.refuse(problems, "has no entries"),
        _ => {}
    }
    entries
}

/// Told at the key that says where an entry begins.
pub(super) fn follows(node: &Node<'_>, end: Option<Date>, start: Date, problems: &mut Problems) {
    match end {
        None => node.refuse(problems, format!("is {start}, but the entry before it is open")),
        Some(end) if start < end => {
            node.refuse(problems, format!("is {start}: overlaps the entry before it, which ends on {end}"));
        }
        Some(end) if start > end => node.refuse(
            problems,
            format!("is {start}: leaves a gap after {end}; hand it back with `inherit = true` or fill it"),
        ),
        Some(_) => {}
    }
}

/// The entry, and the key that says where it begins.
fn entry<'a>(
    param: Param,
    item: &Node<'a>,
    region: RegionCode,
    sources: &Sources,
    problems: &mut Problems,
) -> Option<(Entry, Node<'a>)> {
    let mut table = item.table(problems)?;
    let start_node = table.need("start", problems);
    let start = start_node.as_ref().and_then(|node| node.day(problems));
    if let (Some(start), Some(node)) = (start.filter(|start| *start < FIRST_DAY), &start_node) {
        node.refuse(problems, format!("is {start}, before {FIRST_DAY}: no day of the system reaches it"));
    }
    let end_node = table.get("end");
    let end = end_node.as_ref().and_then(|node| node.day(problems));
    if let (Some(start), Some(end), Some(node)) = (start, end, &end_node)
        && end <= start
    {
        node.refuse(problems, format!("{end} is not after the start {start}"));
    }
    let inherit_node = table.get("inherit");
    let inherit = inherit_node.as_ref().and_then(|node| node.flag(problems)).unwrap_or(false);
    if let Some(node) = inherit_node.filter(|_| inherit && region == RegionCode::NATIONAL) {
        node.refuse(problems, "hands back, but national values extend nothing");
    }
    let place = item.place();
    let given = if inherit { None } else { given(param, &mut table, (region, place), sources, problems) };
    if inherit && let Some(note) = table.get("note") {
        _ = note.filled(problems);
    }
    table.finish(problems);
    // An entry whose value cannot be read still has its span, so that its neighbours are not reported as a gap.
    Some((Entry { start: start?, end, given }, start_node?))
}

fn given(
    param: Param,
    table: &mut Table<'_>,
    (region, place): (RegionCode, String),
    sources: &Sources,
    problems: &mut Problems,
) -> Option<Given> {
    let value = table.need("value", problems).and_then(|node| value::read(param, &node, problems));
    let vouched = Vouched::read(table, sources, problems);
    let Vouched { citation, grade, known_from, note } = vouched?;
    Some(Given { value: value?, region, citation, grade, known_from, note, place })
}
