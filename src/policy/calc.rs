//! Calculation tables: the files named below of every folder, laid over each other along the tree of regions (own folder,
//! parent's, nation), and cut into revisions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;
use sha2::{Digest, Sha256};

use super::PolicyFiles;
use super::calc_value;
use super::error::Problems;
use super::parse::{FIRST_DAY, follows, region};
use super::reader::{Doc, Node, Table};
use super::resolve::{cite, update};
use super::sources::{Sources, Vouched};
use crate::domain::calc::keys::{Key, Value};
use crate::domain::calc::law::{CalcBook, Entry, Origin, Place, Revision};
use crate::domain::ids::RegionCode;
use crate::domain::region::Region;

/// The files that hold calculation tables; any table may stand in any of them, but once in a folder.
const FILES: [&str; 6] = ["contribution", "pension", "retirement", "benefits", "tiers", "certification"];
const SCHEMA: i64 = 1;

/// One dated table of a file, a span handed back to the region above, or one in which no table is known.
#[derive(Clone)]
struct Span {
    start: Date,
    end: Option<Date>,
    given: Option<Given>,
    /// The table of the region above is not this region's, and its own is not on file: who says so, for the digest.
    withheld: Option<String>,
}

#[derive(Clone)]
struct Given {
    value: Value,
    text: String,
    origin: Origin,
}

/// One region's own tables.
type Layer = BTreeMap<Key, Vec<Span>>;

/// Reads every calculation table.
pub(super) fn read(
    files: &PolicyFiles,
    shared: &Sources,
    regions: &BTreeMap<RegionCode, Region>,
    problems: &mut Problems,
) -> CalcBook {
    let mut layers: BTreeMap<RegionCode, Layer> = BTreeMap::new();
    for (name, text) in &files.0 {
        let Some((folder, file)) = name.split_once('/') else { continue };
        if file.strip_suffix(".toml").is_some_and(|stem| FILES.contains(&stem)) {
            read_file(name, folder, text, shared, regions, &mut layers, problems);
        }
    }
    if !problems.is_empty() {
        return CalcBook::new(vec![Vec::new()], BTreeMap::new(), calc_value::from_json, [0; 32]);
    }
    book(&layers, regions)
}

fn read_file(
    name: &str,
    folder: &str,
    text: &str,
    shared: &Sources,
    regions: &BTreeMap<RegionCode, Region>,
    layers: &mut BTreeMap<RegionCode, Layer>,
    problems: &mut Problems,
) {
    let doc = Doc { file: name, text };
    let Some(parsed) = doc.parse(problems) else { return };
    let mut root = Table::root(&doc, parsed.get_ref());
    if let Some(node) = root.need("schema", problems)
        && let Some(schema) = node.integer(problems)
        && schema != SCHEMA
    {
        node.refuse(problems, format!("is {schema}; this program reads {SCHEMA}"));
    }
    let code = root.need("region", problems).and_then(|node| {
        let code = region(folder, &node, problems)?;
        if code != RegionCode::NATIONAL && !regions.contains_key(&code) {
            node.refuse(problems, format!("{code} is not a code of regions.csv"));
        }
        Some(code)
    });
    let sources = match root.get("sources").and_then(|node| node.table(problems)) {
        Some(table) => Sources::read(name.trim_end_matches(".toml"), &table, shared, problems),
        None => shared.clone(),
    };
    let code = code.unwrap_or(RegionCode::NATIONAL);
    let layer = layers.entry(code).or_default();
    for key in Key::ALL.iter().copied() {
        let Some(node) = root.get(key.name()) else { continue };
        if layer.contains_key(&key) {
            node.refuse(problems, "stands in another file of this folder already");
        }
        let spans = spans(key, &node, code, &sources, problems);
        layer.insert(key, spans);
    }
    root.finish(problems);
}

fn spans(key: Key, node: &Node<'_>, code: RegionCode, sources: &Sources, problems: &mut Problems) -> Vec<Span> {
    let Some(nodes) = node.items(problems) else { return Vec::new() };
    if nodes.is_empty() {
        node.refuse(problems, "has no entries");
    }
    let mut spans: Vec<Span> = Vec::with_capacity(nodes.len());
    for item in &nodes {
        let Some((span, start)) = span(key, item, code, sources, problems) else { continue };
        if let Some(last) = spans.last() {
            follows(&start, last.end, span.start, problems);
        }
        spans.push(span);
    }
    spans
}

/// The span, and the key that says where it begins.
fn span<'a>(
    key: Key,
    item: &Node<'a>,
    code: RegionCode,
    sources: &Sources,
    problems: &mut Problems,
) -> Option<(Span, Node<'a>)> {
    let mut table = item.table(problems)?;
    let start_node = table.need("start", problems);
    let start = start_node.as_ref().and_then(|node| node.day(problems));
    let end_node = table.get("end");
    let end = end_node.as_ref().and_then(|node| node.day(problems));
    if let (Some(start), Some(end), Some(node)) = (start, end, &end_node)
        && end <= start
    {
        node.refuse(problems, format!("{end} is not after the start {start}"));
    }
    let inherit = table.get("inherit").and_then(|node| node.flag(problems)).unwrap_or(false);
    let withholds = table.get("withheld");
    let withheld = withholds.as_ref().and_then(|node| node.flag(problems)).unwrap_or(false);
    if let Some(node) = withholds.filter(|_| withheld && (inherit || code == RegionCode::NATIONAL)) {
        node.refuse(problems, "keeps the table of the region above from holding: not with inherit, nor in the nation");
    }
    let mut said = None;
    let given = if withheld {
        let vouched = Vouched::read(&mut table, sources, problems);
        if vouched.as_ref().is_some_and(|vouched| vouched.note.is_empty()) {
            table.refuse(problems, "note", "is missing: why is no table known?");
        }
        said = vouched.map(|by| format!("{} {} {} {}", by.citation.id, by.grade.name(), by.known_from, by.note));
        None
    } else if inherit {
        None
    } else {
        given(key, &mut table, (start, end), code, sources, problems)
    };
    if inherit && let Some(note) = table.get("note") {
        _ = note.filled(problems);
    }
    table.finish(problems);
    Some((Span { start: start?, end, given, withheld: said }, start_node?))
}

fn given(
    key: Key,
    table: &mut Table<'_>,
    life: (Option<Date>, Option<Date>),
    code: RegionCode,
    sources: &Sources,
    problems: &mut Problems,
) -> Option<Given> {
    let place = table.place();
    let value = table.need("value", problems).and_then(|node| calc_value::read(key, &node, problems));
    let vouched = Vouched::read(table, sources, problems);
    let Vouched { citation, grade, known_from, note } = vouched?;
    let (value, text) = value?;
    let start = life.0?;
    let start_text = start.to_string();
    let origin = Origin {
        start,
        start_text,
        end: life.1,
        region: code,
        region_text: code.to_string(),
        citation,
        grade,
        place,
        note,
        known_from,
    };
    Some(Given { value, text, origin })
}

/// Regions that have the same chain of folders share one list of revisions.
fn book(layers: &BTreeMap<RegionCode, Layer>, regions: &BTreeMap<RegionCode, Region>) -> CalcBook {
    let mut lists: Vec<Vec<Revision>> = Vec::new();
    let mut of_chain: BTreeMap<Vec<RegionCode>, usize> = BTreeMap::new();
    let mut of_region = BTreeMap::new();
    for code in regions.keys().copied().chain([RegionCode::NATIONAL]) {
        let climb = |code: &RegionCode| regions.get(code).and_then(|region| region.parent);
        let own = std::iter::successors(Some(code), climb).filter(|code| layers.contains_key(code));
        let mut chain: Vec<RegionCode> = own.collect();
        if !chain.contains(&RegionCode::NATIONAL) {
            chain.push(RegionCode::NATIONAL);
        }
        let index = *of_chain.entry(chain.clone()).or_insert_with(|| {
            lists.push(revisions(&chain, layers));
            lists.len() - 1
        });
        let region = regions.get(&code);
        let (from, to) = (region.map(|region| region.valid_from), region.and_then(|region| region.valid_to));
        of_region.insert(code, Place { list: index, from, to });
    }
    let mut hash = Sha256::new();
    for (code, place) in &of_region {
        update(&mut hash, &["calculation", &code.to_string()]);
        lists[place.list].iter().for_each(|revision| hash.update(revision.digest));
    }
    CalcBook::new(lists, of_region, calc_value::from_json, hash.finalize().into())
}

/// The life of one table: the first folder of the chain that says something on a day.
fn timeline(key: Key, chain: &[RegionCode], layers: &BTreeMap<RegionCode, Layer>) -> Vec<Span> {
    let Some((first, rest)) = chain.split_first() else { return Vec::new() };
    let below = timeline(key, rest, layers);
    let own = layers.get(first).and_then(|layer| layer.get(&key)).map(Vec::as_slice).unwrap_or_default();
    let clip = |span: &Span, from: Date, to: Option<Date>| {
        let start = span.start.max(from);
        let end = [span.end, to].into_iter().flatten().min();
        end.is_none_or(|end| start < end).then(|| Span { start, end, ..span.clone() })
    };
    let mut found = Vec::new();
    let mut free = Some(Date::MIN);
    for span in own.iter().filter(|span| span.given.is_some() || span.withheld.is_some()) {
        if let Some(from) = free {
            found.extend(below.iter().filter_map(|under| clip(under, from, Some(span.start))));
        }
        found.push(span.clone());
        free = span.end;
    }
    if let Some(from) = free {
        found.extend(below.iter().filter_map(|under| clip(under, from, None)));
    }
    found
}

fn revisions(chain: &[RegionCode], layers: &BTreeMap<RegionCode, Layer>) -> Vec<Revision> {
    let lines: Vec<(Key, Vec<Span>)> = Key::ALL.iter().map(|key| (*key, timeline(*key, chain, layers))).collect();
    // Before the first law there are no tables, which is not the same as an unknown region.
    let mut starts = BTreeSet::from([Date::MIN, FIRST_DAY]);
    for span in lines.iter().flat_map(|(_, line)| line) {
        starts.insert(span.start);
        starts.extend(span.end);
    }
    let mut made: BTreeMap<(Key, Date), Arc<Entry>> = BTreeMap::new();
    let starts: Vec<Date> = starts.into_iter().collect();
    let mut found = Vec::with_capacity(starts.len());
    for (index, start) in starts.iter().enumerate() {
        let mut hash = Sha256::new();
        let mut known_from = Date::MIN;
        let mut entries = Vec::with_capacity(lines.len());
        for (key, line) in &lines {
            let span = line.iter().find(|span| span.start <= *start && span.end.is_none_or(|end| *start < end));
            if let Some(withheld) = span.and_then(|span| span.withheld.as_deref()) {
                update(&mut hash, &[key.name(), "withheld", withheld]);
            }
            let Some((span, given)) = span.and_then(|span| Some((span, span.given.as_ref()?))) else {
                entries.push(None);
                continue;
            };
            known_from = known_from.max(given.origin.known_from);
            let end = span.end.map(|end| end.to_string()).unwrap_or_default();
            let (from, region) = (span.start.to_string(), given.origin.region.to_string());
            let known = given.origin.known_from.to_string();
            let own = [given.origin.grade.name(), given.origin.note.as_str(), &known];
            update(&mut hash, &[key.name(), &given.text, &from, &end, &region]);
            update(&mut hash, &own);
            cite(&mut hash, &given.origin.citation);
            let entry = made.entry((*key, span.start)).or_insert_with(|| {
                let start_text = span.start.to_string();
                let origin = Origin { start: span.start, start_text, end: span.end, ..given.origin.clone() };
                Arc::new(Entry {
                    key: *key,
                    value: given.value.clone(),
                    text: given.text.clone(),
                    origin: Some(origin),
                })
            });
            entries.push(Some(Arc::clone(entry)));
        }
        let end = starts.get(index + 1).copied();
        let digest: [u8; 32] = hash.finalize().into();
        let digest_text = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        found.push(Revision { start: *start, end, known_from, digest, digest_text, entries });
    }
    found
}
