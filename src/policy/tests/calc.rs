//! What the loader refuses in calculation tables, and along which tree they hold.

use super::super::{PolicyFiles, load};
use super::{BOOK, FILES, code, day};
use crate::domain::calc::keys::{Key, Value};
use crate::domain::ids::RegionCode;

const HEAD: &str = "schema = 1\nregion = \"440300\"\n[sources.own]\ndocument = \"d\"\ngrade = \"GUIDE\"\n";

/// All problems of the tree with one file more, one a line; the file's own without its name.
fn problems(files: &PolicyFiles, name: &str) -> String {
    let told = |error: super::super::PolicyError| {
        let lines = error.problems.iter().map(|problem| problem.to_string().replace(&format!("{name}:"), ""));
        lines.collect::<Vec<_>>().join("\n")
    };
    load(files).map_or_else(told, |_| "loads".to_owned())
}

fn check_file(name: &str, text: &str, expected: &str) {
    let mut files = FILES.clone();
    files.0.insert(name.to_owned(), text.to_owned());
    assert_eq!(problems(&files, name), expected, "\n--- {name}\n{text}");
}

fn check(body: &str, expected: &str) {
    check_file("440300-shenzhen/benefits.toml", &format!("{HEAD}{body}"), expected);
}

/// An entry that begins on line 6; its value stands on line 10.
fn entry(key: &str, value: &str) -> String {
    format!("[[{key}]]\nstart = 2020-01-01\nsource = \"own\"\nknown_from = 2026-11-22\nvalue = {value}\n")
}

#[test]
fn tables_are_refused_by_file_line_and_key() {
    let rows = [
        ("medical_gap", "{ wait_months = 2 }", "loads"),
        ("medical_gap", "{ wait_months = -1 }", "10: medical_gap[0].value.wait_months must lie between 0 and 100000"),
        ("medical_gap", "{ wait_months = 1201 }", "10: medical_gap[0].value has more than 1200 months"),
        ("medical_gap", "{ wait_months = 2, more = 1 }", "10: medical_gap[0].value.more is not a known key"),
        ("medical_gap", "{}", "10: medical_gap[0].value.wait_months is missing"),
        ("medical_gap", "2", "10: medical_gap[0].value must be a table, not integer"),
        ("base_bounds", "{ lower = 0.6, upper = \"3\" }", "10: base_bounds[0].value.lower must be a string, not float"),
        ("base_bounds", "{ lower = \"3\", upper = \"0.6\" }", "10: base_bounds[0].value has lower above upper"),
        (
            "base_bounds",
            "{ lower = \"0.6\", upper = \"3\", unit_fen = 0 }",
            "10: base_bounds[0].value must have a unit_fen of 1 or more",
        ),
        (
            "base_bounds",
            "{ lower = \"0.6\", upper = \"1001\" }",
            "10: base_bounds[0].value.upper lies outside 0 to 1000",
        ),
        (
            "contribution_rounding",
            "\"UP\"",
            "10: contribution_rounding[0].value is \"UP\", not one of HALF_UP_FEN, HALF_EVEN_FEN, FLOOR_FEN, CEILING_FEN",
        ),
        (
            "maternity",
            "{ continuous_months = 1, leave_days = 1, dystocia_days = 1, further_child_days = 1, days_of_month = 0 }",
            "10: maternity[0].value must have days_of_month of 1 or more",
        ),
        (
            "minimum_years",
            "[{ from_year = 2030, months = 1 }]",
            "10: minimum_years[0].value must begin with from_year 0 and ascend",
        ),
        (
            "payout_months",
            "[{ age = 60, months = 0 }]",
            "10: payout_months[0].value must have a row of 1 month or more for every age from the first to the last",
        ),
        (
            "flexible_change",
            "{ window_first = \"12-01\", effect = \"NEXT_MONTH\", per_year = 1, channels = [] }",
            "10: flexible_change[0].value must have both window_first and window_last in this order, or neither",
        ),
        (
            "retirement_ages",
            "[{ class = \"MALE\", original_months = 720, delay = { first_birth = \"1965-1\", birth_months = 4, most = 36 } }]",
            "10: retirement_ages[0].value[0].delay.first_birth must be a month such as 1965-01",
        ),
        (
            "certification_cycle",
            "{ months = 12, dependant_months = 12, every_calendar_year = true, first_months = 12, start_month = 13 }",
            "10: certification_cycle[0].value must have a start_month of 1 to 12",
        ),
        (
            "certification_cycle",
            "{ months = 12, dependant_months = 12, every_calendar_year = false, first_months = 12, start_month = 4 }",
            "10: certification_cycle[0].value has a start_month without every_calendar_year",
        ),
        ("retired_credit", "{}", "10: retired_credit[0].value must have one of fixed_fen and of_average_pension"),
        ("average_wage", "0", "10: average_wage[0].value must be above 0"),
        ("tables", "1", "6: tables is not a known key"),
    ];
    for (key, value, expected) in rows {
        check(&entry(key, value), expected);
    }
}

#[test]
fn lives_and_origins_are_those_of_every_value() {
    let open = entry("medical_gap", "{ wait_months = 2 }");
    check(
        &format!("{open}{}", open.replace("2020", "2021")),
        "12: medical_gap[1].start is 2021-01-01, but the entry before it is open",
    );
    let closed = open.replace("start = 2020-01-01", "start = 2020-01-01\nend = 2021-01-01");
    check(
        &format!("{closed}{}", open.replace("2020", "2022")),
        "13: medical_gap[1].start is 2022-01-01: leaves a gap after 2021-01-01; hand it back with `inherit = true` or fill it",
    );
    check(
        &open.replace("\"own\"", "\"x\""),
        "8: medical_gap[0].source \"x\" is not a key of [sources] or sources.toml",
    );
    check(
        &format!("{open}grade = \"OFFICIAL\"\n"),
        "11: medical_gap[0].grade OFFICIAL is higher than the source's GUIDE",
    );
    check(&open.replace("known_from = 2026-11-22\n", ""), "6: medical_gap[0].known_from is missing");
    check("medical_gap = []\n", "6: sources.own.medical_gap is not a known key");
    check_file(
        "440300-shenzhen/pension.toml",
        &HEAD.replace("440300", "440100"),
        "2: region 440100 does not match the folder 440300-shenzhen",
    );
    check_file(
        "999999-nowhere/pension.toml",
        &HEAD.replace("440300", "999999"),
        "2: region 999999 is not a code of regions.csv",
    );
    check_file(
        "440300-shenzhen/tiers.toml",
        &HEAD.replace("schema = 1", "schema = 2"),
        "1: schema is 2; this program reads 1",
    );
    let mut files = FILES.clone();
    for name in ["benefits", "tiers"] {
        files.0.insert(format!("440300-shenzhen/{name}.toml"), format!("{HEAD}{open}"));
    }
    assert_eq!(
        problems(&files, "440300-shenzhen/tiers.toml"),
        "6: medical_gap stands in another file of this folder already"
    );
}

#[test]
fn tables_follow_the_tree_of_regions() {
    let origin = |region: &str, key: Key, on: &str| {
        let law = BOOK.calculation.law(code(region), day(on)).expect("tables");
        law.entry(key).and_then(|entry| entry.origin.as_ref()).map(|origin| origin.region.to_string())
    };
    let rows = [
        ("510100", Key::FlexibleChange, "2026-01-01", Some("510000")),
        ("519900", Key::FlexibleChange, "2026-01-01", Some("510000")),
        ("500235", Key::PensionBase, "2024-06-01", Some("500000")),
        ("500000", Key::PensionBase, "2025-06-01", None),
        ("430100", Key::UnemploymentMonths, "2026-01-01", Some("430000")),
        ("440300", Key::UnemploymentMonths, "2026-01-01", Some("000000")),
        ("500000", Key::PayoutRule, "2024-12-31", Some("000000")),
        ("500000", Key::PayoutRule, "2025-01-01", Some("500000")),
        ("440300", Key::AverageWage, "2026-01-01", None),
    ];
    for (region, key, on, expected) in rows {
        assert_eq!(origin(region, key, on).as_deref(), expected, "{region} {key:?} {on}");
    }
    assert_eq!(origin("440300", Key::ContributionRates, "1998-12-13"), None, "a known region without tables");
    assert!(BOOK.calculation.law(code("999999"), day("2026-01-01")).is_none());
}

/// Every table reads back from the text that explanations show of it, whatever its shape.
#[test]
fn every_table_reads_back_from_its_text() {
    let mut read = 0;
    for region in BOOK.regions.iter().map(|region| region.code).chain([RegionCode::NATIONAL]) {
        for entry in BOOK.calculation.revisions(region).iter().flat_map(|revision| revision.entries.iter().flatten()) {
            let again = BOOK.calculation.read(entry.key, &entry.text);
            let again = again.unwrap_or_else(|mistakes| panic!("{} {}: {mistakes:?}", entry.key.name(), entry.text));
            assert_eq!((&again.value, &again.text), (&entry.value, &entry.text));
            assert!(again.origin.is_none());
            read += 1;
        }
        if region == code("110000") {
            // Regions without tables of their own share the nation's.
            break;
        }
    }
    for region in ["500000", "340300", "430000", "000000"] {
        read += BOOK.calculation.revisions(code(region)).len();
    }
    assert!(read > 300, "{read}");
    let law = BOOK.calculation.law(RegionCode::NATIONAL, day("2026-01-01")).expect("tables");
    let known = Key::ALL.iter().filter(|key| law.entry(**key).is_some()).count();
    assert_eq!(known, Key::ALL.len() - 2, "every table but the regions' average wage and pension base");
    assert!(matches!(law.entry(Key::MedicalGap).map(|entry| &entry.value), Some(Value::MedicalGap(_))));
}
