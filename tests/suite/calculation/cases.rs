//! The worked cases of `policies/*/calculation_cases.toml`, each through the function that the wire and the command line use.
//!
//! `cargo test --test suite calculation::cases -- --nocapture` prints which case stands for which row of the founding
//! documents, and how many cases each dated value has.

use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

use gongji::domain::calc::keys::Key;
use gongji::domain::calc::law::{CalcBook, Revision};
use gongji::domain::ids::RegionCode;
use gongji::domain::time::parse_day;
use gongji::grpc::calculation::{Asked, CalculationLimits, answer_item, encode_item};
use gongji::grpc::proto;
use gongji::policy::PolicyFiles;
use jiff::civil::Date;
use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};
use serde_json::{Value as Json, json};
use toml::Value;

use crate::support::book;

/// One case as written.
struct Case {
    folder: String,
    name: String,
    seed: Vec<String>,
    values: Vec<String>,
    calculation: String,
    request: Value,
    expect: toml::Table,
}

fn words(text: &str) -> Vec<String> {
    text.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn cases() -> Vec<Case> {
    let mut found = Vec::new();
    for (file, text) in &PolicyFiles::embedded().0 {
        let Some(folder) = file.strip_suffix("/calculation_cases.toml") else { continue };
        let mut table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
        let Some(Value::Array(list)) = table.remove("case") else { panic!("{file}: no cases") };
        assert!(table.is_empty(), "{file}: only cases");
        for case in list {
            let Value::Table(mut case) = case else { panic!("{file}: a case is a table") };
            let mut text = |key: &str| {
                case.remove(key).map(|value| value.as_str().unwrap_or_else(|| panic!("{file}: {key}")).to_owned())
            };
            let name = text("name").unwrap_or_else(|| panic!("{file}: a case has a name"));
            let seed = words(&text("seed").unwrap_or_default());
            let values = words(&text("values").unwrap_or_else(|| panic!("{file}: {name}: values")));
            let Some(Value::Table(expect)) = case.remove("expect") else { panic!("{file}: {name}: expect") };
            let mut rest = case.into_iter();
            let (Some((calculation, request)), None) = (rest.next(), rest.next()) else {
                panic!("{file}: {name}: one calculation")
            };
            found.push(Case { folder: folder.to_owned(), name, seed, values, calculation, request, expect });
        }
    }
    assert!(found.len() > 300, "the files were found");
    found
}

impl Case {
    fn day(&self) -> Date {
        let on = self.request.get("on").and_then(Value::as_str).expect("a case has a day");
        parse_day(on).expect("a day")
    }

    fn region(&self) -> RegionCode {
        let code = self.request.get("region_code").and_then(Value::as_str).expect("a case has a region");
        RegionCode::parse(code).expect("a region")
    }

    /// Whether everything came out as written.
    fn passes(&self, found: &Json) -> bool {
        let expects_error = self.expect.contains_key("error");
        (expects_error || found.get("error").is_none())
            && self.expect.iter().all(|(path, expected)| same(expected, at(found, path)))
    }

    /// The answer as JSON, of which the calculation's own object is left.
    fn run(&self) -> Json {
        self.run_with(&book().calculation)
    }

    fn run_with(&self, book: &CalcBook) -> Json {
        let item = json!({ &self.calculation: serde_json::to_value(&self.request).expect("JSON") });
        let item: proto::CalculationItem =
            serde_json::from_value(item).unwrap_or_else(|error| panic!("{}: {}: {error}", self.folder, self.name));
        let asked = Asked {
            book,
            limits: CalculationLimits { batch_items: 1, periods: 600, answer_bytes: u32::MAX },
            today: jiff::civil::date(2026, 11, 22),
            view: proto::ExplanationView::Full,
        };
        self.same_in_a_batch(&item, &asked);
        let mut answer = serde_json::to_value(answer_item(item, &asked)).expect("JSON");
        if let Some(error) = answer.get("error") {
            let mut words = error["reason"].as_str().unwrap_or_default().trim_start_matches("REASON_").to_owned();
            for field in error["violations"].as_array().into_iter().flatten().map(|violation| &violation["field"]) {
                words.push_str(&format!(" {}", field.as_str().unwrap_or_default()));
            }
            if let Some(parameter) = error["parameter"].as_str() {
                words.push_str(&format!(" {parameter}"));
            }
            return json!({ "error": words });
        }
        answer[&self.calculation].take()
    }
}

impl Case {
    /// A batch writes its results as bytes; they are those of the message, in every view.
    fn same_in_a_batch(&self, item: &proto::CalculationItem, asked: &Asked<'_>) {
        use proto::ExplanationView::{Full, None, Summary};
        for view in [None, Summary, Full] {
            let asked = Asked { view, ..*asked };
            let item = proto::CalculationItem { item_id: "x-1".to_owned(), ..item.clone() };
            let mut written = Vec::new();
            encode_item(&item.encode_to_vec().into(), &asked, &mut written);
            let read = proto::CalculationResult::decode(&*written).expect("a result");
            assert_eq!(read, answer_item(item, &asked), "{}: {} {view:?}", self.folder, self.name);
        }
    }
}

/// The place a path leads to: `lines[3].unit_fen`.
fn at<'a>(json: &'a Json, path: &str) -> &'a Json {
    let mut here = json;
    for part in path.split('.') {
        let (name, places) = part.split_once('[').map_or((part, ""), |(name, rest)| (name, rest));
        here = &here[name];
        for place in places.split('[').filter(|place| !place.is_empty()) {
            here = &here[place.trim_end_matches(']').parse::<usize>().expect("a place")];
        }
    }
    here
}

/// Whether what was found is what is expected; of tables only what is named, and a word without its prefix. What JSON leaves
/// out is zero or empty.
fn same(expected: &Value, found: &Json) -> bool {
    match (expected, found) {
        (Value::Integer(number), Json::Null) => *number == 0,
        (Value::Integer(0), Json::String(text)) => text == "0" || text.ends_with("_UNSPECIFIED"),
        (Value::Integer(number), Json::String(text)) => *text == number.to_string(),
        (Value::Integer(number), Json::Number(found)) => found.as_i64() == Some(*number),
        (Value::Boolean(flag), Json::Null) => !flag,
        (Value::Boolean(flag), Json::Bool(found)) => flag == found,
        (Value::String(text), Json::Null) => text.is_empty(),
        (Value::String(text), Json::String(found)) => text == found || found.ends_with(&format!("_{text}")),
        (Value::Array(list), Json::Null) => list.is_empty(),
        (Value::Array(list), Json::Array(found)) => {
            list.len() == found.len() && list.iter().zip(found).all(|(expected, found)| same(expected, found))
        }
        (Value::Table(table), found) => table.iter().all(|(path, expected)| same(expected, at(found, path))),
        _ => false,
    }
}

#[test]
fn every_worked_case_comes_out_as_written() {
    let (mut wrong, all) = (Vec::new(), cases());
    for case in &all {
        let found = case.run();
        for (path, expected) in &case.expect {
            if !same(expected, at(&found, path)) {
                wrong.push(format!(
                    "{}: {}\n  {path}: expected {expected}, found {}{}",
                    case.folder,
                    case.name,
                    at(&found, path),
                    found.get("error").map(|error| format!(" ({error})")).unwrap_or_default()
                ));
            }
        }
        if !case.expect.contains_key("error") && found.get("error").is_some() {
            wrong.push(format!("{}: {}: {}", case.folder, case.name, found["error"]));
        }
    }
    println!("{} cases", all.len());
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

/// Rows G49–I69 and K73–N97 of the founding documents.
#[test]
fn every_row_of_the_documents_has_a_case() {
    let letter = |row: u32| match row {
        49..=53 => 'G',
        54..=60 => 'H',
        61..=69 => 'I',
        73..=78 => 'K',
        79..=87 => 'L',
        88..=93 => 'M',
        _ => 'N',
    };
    let all = cases();
    let mut rows: BTreeMap<String, Vec<&Case>> = BTreeMap::new();
    for case in &all {
        for row in &case.seed {
            rows.entry(row.clone()).or_default().push(case);
        }
    }
    let mut missing = Vec::new();
    for row in (49..=69).chain(73..=97) {
        let row = format!("{}{row}", letter(row));
        match rows.remove(&row) {
            Some(found) => {
                let names: Vec<_> = found.iter().map(|case| format!("{} {}", case.folder, case.name)).collect();
                println!("{row}: {}", names.join("; "));
            }
            None => missing.push(row),
        }
    }
    assert!(missing.is_empty(), "no case: {}", missing.join(", "));
    assert!(rows.is_empty(), "no such row: {:?}", rows.keys().collect::<Vec<_>>());
    let published = [
        "W-01", "W-02", "W-06", "W-09", "W-20", "W-22", "W-24", "W-27", "W-28", "W-40", "W-42", "W-45", "W-47", "W-48",
        "W-50", "W-53", "W-54", "W-57", "W-60", "W-70", "W-72", "W-73", "W-75", "W-77",
    ];
    let unnamed: Vec<_> = published
        .iter()
        .filter(|id| {
            !all.iter().any(|case| case.name.starts_with(&format!("{id}:")) || case.name.starts_with(&format!("{id} ")))
        })
        .collect();
    assert!(unnamed.is_empty(), "no case: {unnamed:?}");
}

/// Every dated value: a case on its first day and one on the day before it begins, and three within its life: the first day, a
/// normal case, a boundary.
#[test]
fn every_dated_value_has_its_cases() {
    let (all, book) = (cases(), book());
    let mut wrong = Vec::new();
    let mut seen: BTreeSet<(Key, String, Date)> = BTreeSet::new();
    println!("{:<32} {:<8} {:<12} {:>6} {:>6} {:>6}", "value", "region", "from", "before", "first", "cases");
    let regions = book.regions.iter().map(|region| region.code).chain([RegionCode::NATIONAL]);
    for region in regions {
        for entry in
            book.calculation.revisions(region).iter().flat_map(|Revision { entries, .. }| entries.iter().flatten())
        {
            let origin = entry.origin.as_ref().expect("a table of a file has an origin");
            // A span that a region took over from above begins when the region's own ended: it is the other's value.
            if origin.region != region || !seen.insert((entry.key, region.to_string(), origin.start)) {
                continue;
            }
            let of = |case: &&Case| {
                let values = case.values.iter().any(|name| name == entry.key.name());
                values && (case.region() == region || case.folder.starts_with(&region.to_string()))
            };
            let named: Vec<&Case> = all.iter().filter(of).collect();
            let before = origin.start.yesterday().expect("a day before");
            let count = |day: Date| named.iter().filter(|case| case.day() == day).count();
            let within =
                named.iter().filter(|case| case.day() >= origin.start && origin.end.is_none_or(|end| case.day() < end));
            let (on_before, on_first, cases) = (count(before), count(origin.start), within.count());
            println!(
                "{:<32} {:<8} {:<12} {on_before:>6} {on_first:>6} {cases:>6}",
                entry.key.name(),
                region.to_string(),
                origin.start.to_string()
            );
            if on_before == 0 || on_first == 0 || cases < 3 {
                wrong.push(format!(
                    "{} of {region} from {}: before {on_before}, first {on_first}, {cases} cases",
                    entry.key.name(),
                    origin.start
                ));
            }
        }
    }
    println!("{} dated values, {} cases", seen.len(), all.len());
    assert!(seen.len() > 60, "the values were found");
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

/// A case rests on every value that it names: without the table it comes out otherwise. Where no table is known on its day, the
/// answer names one that is missing; what the case itself brings in a table's place it rests on by that.
#[test]
fn every_case_rests_on_the_values_it_names() {
    let (all, book) = (cases(), book());
    let (mut named, mut wrong) = (0, Vec::new());
    for case in &all {
        let Some(law) = book.calculation.law_there(case.region(), case.day()) else { continue };
        let error = case.expect.get("error").and_then(Value::as_str).unwrap_or_default();
        let known = |name: &str| Key::parse(name).is_some_and(|key| law.entry(key).is_some());
        let missing_told = case.values.iter().any(|name| !known(name) && error.contains(name.as_str()));
        let own = case.request.get("parameters").map(ToString::to_string).unwrap_or_default();
        for value in &case.values {
            named += 1;
            let key = Key::parse(value).unwrap_or_else(|| panic!("{}: {value} is no table", case.name));
            let rests = match law.entry(key) {
                _ if own.contains(&format!("\"{value}\"")) => true,
                Some(entry) => !case.passes(&case.run_with(&book.calculation.without(case.region(), entry))),
                None => missing_told,
            };
            if !rests {
                wrong.push(format!("{}: {}: {value}", case.folder, case.name));
            }
        }
    }
    println!("{} cases, {named} values named, {} on which the case does not rest", all.len(), wrong.len());
    assert!(named > 300 && wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

/// A path that leads to no field of the answer would read as nothing, and pass where nothing is expected.
#[test]
fn every_path_leads_to_a_field() {
    fn wrong(message: &MessageDescriptor, expected: &toml::Table, at: &str, found: &mut Vec<String>) {
        for (path, value) in expected {
            let mut here = Some(Kind::Message(message.clone()));
            for part in path.split('.') {
                let name = part.split('[').next().unwrap_or_default();
                let field = here.and_then(|kind| kind.as_message()?.get_field_by_name(name));
                here = field.map(|field| field.kind());
            }
            let Some(kind) = here else {
                found.push(format!("{at}: {path}"));
                continue;
            };
            let tables = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            for table in tables.iter().filter_map(Value::as_table) {
                match kind.as_message() {
                    Some(message) => wrong(message, table, at, found),
                    None => found.push(format!("{at}: {path} is no message")),
                }
            }
        }
    }
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).expect("the descriptors");
    let result = pool.get_message_by_name("gongji.v1.CalculationResult").expect("what every calculation answers in");
    let mut found = Vec::new();
    for case in cases() {
        let field = result.get_field_by_name(&case.calculation).unwrap_or_else(|| panic!("{}", case.calculation));
        let Kind::Message(answer) = field.kind() else { panic!("{} is no message", case.calculation) };
        let expect: toml::Table = case.expect.clone().into_iter().filter(|(path, _)| path != "error").collect();
        wrong(&answer, &expect, &format!("{} {}", case.folder, case.name), &mut found);
    }
    assert!(found.is_empty(), "no such fields:\n{}", found.join("\n"));
}
