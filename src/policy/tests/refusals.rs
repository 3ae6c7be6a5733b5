//! What the loader refuses of values: their lives, their sources, their forms.

use super::super::{PolicyFiles, load};
use super::FILES;

pub(super) const REGION_HEADER: &str = "code,name,aliases,parent,level,valid_from,valid_to,policy,source,grade\n";
pub(super) const REGIONS: &str = "440000,广东省,,,PROVINCE_NODE,1998-12-14,,,s,GUIDE\n\
                       440300,深圳市,,440000,CITY,1998-12-14,,440300-t,s,GUIDE\n";
pub(super) const OPENING_HEADER: &str = "unit,since,source,grade,note\n";
pub(super) const CODE_HEADER: &str = "code,relations,name,source,grade\n";
const SOURCES: &str = "[s]\ndocument = \"d\"\ngrade = \"GUIDE\"\n";
/// Six lines; what follows begins on line 7.
pub(super) const HEAD: &str =
    "schema = 1\nregion = \"440300\"\nextends = \"national\"\n[sources.own]\ndocument = \"d\"\ngrade = \"GUIDE\"\n";

/// A small tree: the real national values, one province, one city with a folder of its own.
pub(super) fn tree() -> PolicyFiles {
    let mut files = PolicyFiles::default();
    let mut add = |name: &str, text: String| files.0.insert(name.to_owned(), text);
    let shared = FILES.get("sources.toml").expect("shared sources");
    add("national/policy.toml", FILES.get("national/policy.toml").expect("national values").to_owned());
    add("national/cross_province.csv", OPENING_HEADER.to_owned());
    add("national/relation_codes.csv", CODE_HEADER.to_owned());
    add("regions.csv", format!("{REGION_HEADER}{REGIONS}"));
    add("sources.toml", format!("{SOURCES}{shared}"));
    add("440300-t/policy.toml", HEAD.to_owned());
    files
}

/// Loads the tree with one file replaced; `expected` are all problems, one a line.
pub(super) fn check_file(name: &str, text: &str, expected: &str) {
    let mut files = tree();
    files.0.insert(name.to_owned(), text.to_owned());
    let found = load(&files).map_or_else(
        |error| error.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        |_| "loads".to_owned(),
    );
    assert_eq!(found, expected, "\n--- {name}\n{text}");
}

/// One folder whose entries are `body`; problems are given without the file's name.
pub(super) fn check(body: &str, expected: &str) {
    let expected: Vec<_> = expected
        .lines()
        .map(|line| if line == "loads" { line.to_owned() } else { format!("440300-t/policy.toml:{line}") })
        .collect();
    check_file("440300-t/policy.toml", &format!("{HEAD}{body}"), &expected.join("\n"));
}

/// An entry of `floor` on four lines.
pub(super) fn floor(life: &str, rest: &str) -> String {
    format!("[[floor]]\n{life}\nvalue = {{ fixed_fen = 1 }}\nsource = \"own\"\nknown_from = 2026-11-22\n{rest}\n")
}

#[test]
fn lives_of_values() {
    let open = floor("start = 2020-01-01", "");
    check("", "loads");
    check(&open, "loads");
    check(
        &floor("start = 2020-01-01\nend = 2020-01-01", ""),
        "9: floor[0].end 2020-01-01 is not after the start 2020-01-01",
    );
    check(
        &floor("start = 2020-01-01\nend = 2019-12-31", ""),
        "9: floor[0].end 2019-12-31 is not after the start 2020-01-01",
    );
    check(
        &(open + &floor("start = 2021-01-01", "")),
        "14: floor[1].start is 2021-01-01, but the entry before it is open",
    );
    let closed = floor("start = 2020-01-01\nend = 2021-01-01", "");
    check(&(closed.clone() + &floor("start = 2021-01-01", "")), "loads");
    check(
        &(closed.clone() + &floor("start = 2020-12-31", "")),
        "15: floor[1].start is 2020-12-31: overlaps the entry before it, which ends on 2021-01-01",
    );
    check(
        &(closed.clone() + &floor("start = 2021-01-02", "")),
        "15: floor[1].start is 2021-01-02: leaves a gap after 2021-01-01; hand it back with `inherit = true` or fill it",
    );
    let handed = "[[floor]]\nstart = 2021-01-01\nend = 2022-01-01\ninherit = true\n";
    check(&(closed + handed + &floor("start = 2022-01-01", "")), "loads");
    check(
        "[[floor]]\nstart = 2021-01-01\ninherit = true\nvalue = { fixed_fen = 1 }\n",
        "10: floor[0].value is not a known key",
    );
    check("floor = []\n", "7: sources.own.floor is not a known key");
    for bad in ["2021-02-30", "0001-01-01", "2021-01-01T00:00:00"] {
        let mut files = tree();
        files.0.insert("440300-t/policy.toml".to_owned(), format!("{HEAD}{}", floor(&format!("start = {bad}"), "")));
        let error = load(&files).expect_err(bad);
        assert!(error.problems.iter().all(|problem| problem.line == 8), "{error}");
    }
    check(&floor("start = \"2021-01-01\"", ""), "8: floor[0].start must be a date such as 2024-07-26, not string");
}

#[test]
fn origins_of_values() {
    let entry = |rest: &str| format!("[[floor]]\nstart = 2020-01-01\nvalue = {{ fixed_fen = 1 }}\n{rest}\n");
    let known = "known_from = 2026-11-22";
    check(&entry(known), "7: floor[0].source is missing");
    check(&entry("source = \"own\""), "7: floor[0].known_from is missing");
    check(
        &entry(&format!("source = \"other\"\n{known}")),
        "10: floor[0].source \"other\" is not a key of [sources] or sources.toml",
    );
    check(&entry(&format!("source = \"s\"\n{known}")), "loads");
    check(&floor("start = 2020-01-01", "grade = \"UNVERIFIED\""), "loads");
    check(
        &floor("start = 2020-01-01", "grade = \"OFFICIAL\""),
        "12: floor[0].grade OFFICIAL is higher than the source's GUIDE",
    );
    check(
        &floor("start = 2020-01-01", "grade = \"SURE\""),
        "12: floor[0].grade is \"SURE\", not one of OFFICIAL, GUIDE, UNVERIFIED, DEMO",
    );
    check(&floor("start = 2020-01-01", "gade = \"DEMO\""), "12: floor[0].gade is not a known key");
    check("[sources.s]\ndocument = \"d\"\ngrade = \"GUIDE\"\n", "7: sources.s is a key of sources.toml already");
    check(
        "[sources.x]\ndocument = \"\"\nurl = \"ftp://x\"\n",
        "7: sources.x.grade is missing\n8: sources.x.document is empty\n9: sources.x.url must begin with https:// or http://",
    );
}

#[test]
fn forms_of_values() {
    let entry = |param: &str, value: &str| {
        format!("[[{param}]]\nstart = 2020-01-01\nsource = \"own\"\nknown_from = 2026-11-22\nvalue = {value}\n")
    };
    for (param, value, expected) in [
        ("floor", "{ fixed_fen = -1 }", "11: floor[0].value.fixed_fen must lie between 0 and 1000000000000 fen"),
        (
            "floor",
            "{ fixed_fen = 1000000000001 }",
            "11: floor[0].value.fixed_fen must lie between 0 and 1000000000000 fen",
        ),
        ("floor", "{ fixed_fen = 0.5 }", "11: floor[0].value.fixed_fen must be a whole number, not float"),
        (
            "floor",
            "{ rate = \"0.0000001\", of_fen = 1, rounding = \"HALF_UP_FEN\" }",
            "11: floor[0].value.rate has more than six decimals",
        ),
        (
            "floor",
            "{ rate = 0.05, of_fen = 1, rounding = \"HALF_UP_FEN\" }",
            "11: floor[0].value.rate must be a string, not float",
        ),
        (
            "floor",
            "{ rate = \"1.1\", of_fen = 1, rounding = \"HALF_UP_FEN\" }",
            "11: floor[0].value.rate lies outside 0 to 1",
        ),
        ("floor", "{ rate = \"0.05\", of_fen = 1 }", "11: floor[0].value.rounding is missing"),
        ("floor", "{ fixed_fen = 1, rate = \"0.05\" }", "11: floor[0].value.rate is not a known key"),
        ("floor", "1", "11: floor[0].value must be a table, not integer"),
        (
            "modes",
            "[\"DRAW\"]",
            "11: modes[0].value[0] is \"DRAW\", not one of DIRECT_DRAW, TRANSFER_BEFOREHAND, WALLET_TRANSFER, QUOTA",
        ),
        ("modes", "[\"QUOTA\", \"QUOTA\"]", "11: modes[0].value[1] is named twice"),
        (
            "relative_buckets",
            "[\"PRIOR_YEARS\", \"WALLET\"]",
            "11: relative_buckets[0].value[1] is WALLET: a wallet's money is sent to relatives, not drawn by them",
        ),
        ("own_buckets", "[\"PRIOR_YEARS\", \"WALLET\"]", "loads"),
        ("modes", "\"QUOTA\"", "11: modes[0].value must be a list, not string"),
        (
            "beneficiary_scope",
            "\"same_region\"",
            "11: beneficiary_scope[0].value is \"same_region\", not one of NOWHERE, SAME_REGION, SAME_PROVINCE",
        ),
        ("owner_tiers", "[\"\"]", "11: owner_tiers[0].value[0] must be 1 to 64 letters, digits, '_', '-' or '.'"),
        ("fund_year_cap", "-1", "11: fund_year_cap[0].value must lie between 0 and 1000000000000 fen"),
        ("fund_year_cap", "\"none\"", "loads"),
        ("members_per_owner", "0", "11: members_per_owner[0].value must be a number from 1, or \"none\""),
        ("members_per_owner", "8", "loads"),
        ("first_self_pay_rate", "\"10%\"", "11: first_self_pay_rate[0].value is not a plain decimal such as 0.05"),
        ("paper_authorisation", "\"yes\"", "11: paper_authorisation[0].value must be true or false, not string"),
        (
            "channels",
            "[{ channel = \"CITY_APP\", evidence = [\"\"], grants = [\"SPEND\"] }]",
            "11: channels[0].value[0].evidence[0] must be 1 to 64 letters, digits, '_', '-' or '.'",
        ),
        (
            "channels",
            "[{ channel = \"CITY_APP\", evidence = [], grants = [] }]",
            "11: channels[0].value[0].grants is empty: a channel that gives nothing is no channel",
        ),
        (
            "channels",
            "[{ channel = \"CITY_APP\", evidence = [], grants = [\"SPEND\"] }, { channel = \"CITY_APP\", evidence = [], grants = [\"SPEND\"] }]",
            "11: channels[0].value[1].channel is the name of a second row: CITY_APP",
        ),
        (
            "fund_shares",
            "[{ name = \"x\", rate = \"0.5\", tier = [] }]",
            "11: fund_shares[0].value[0].tier is not a known key",
        ),
        ("fund_shares", "[{ name = \"x\" }]", "11: fund_shares[0].value[0].rate is missing"),
        (
            "fund_shares",
            "[{ name = \"x\", rate = \"0.5\", purposes = [\"GYM\"] }]",
            "11: fund_shares[0].value[0].purposes[0] is \"GYM\", not one of OUTPATIENT, INPATIENT, PHARMACY, RESIDENT_PREMIUM, LONG_TERM_CARE_PREMIUM, VACCINATION, LARGE_AMOUNT_SUPPLEMENT, PUBLIC_HEALTH, SPORT_FITNESS, HEALTH_PRESERVING, CASH_WITHDRAWAL, NON_DESIGNATED",
        ),
        (
            "deductibles",
            "[{ name = \"x\", amount_fen = -1 }]",
            "11: deductibles[0].value[0].amount_fen must lie between 0 and 1000000000000 fen",
        ),
        ("deductibles", "[{ name = \"x\", schemes = [\"EMPLOYEE\"], amount_fen = 180000 }]", "loads"),
        ("flor", "{ fixed_fen = 1 }", "7: flor is not a known key"),
        ("wallet_closed_hours", "\"none\"", "loads"),
        ("wallet_closed_hours", "{ from = 22:00:00, to = 06:00:00 }", "loads"),
        (
            "wallet_closed_hours",
            "{ from = 22:00:00, to = 22:00:00 }",
            "11: wallet_closed_hours[0].value is empty: it ends when it begins; write \"none\"",
        ),
        ("wallet_closed_hours", "{ from = 22:00:00 }", "11: wallet_closed_hours[0].value.to is missing"),
        ("wallet_return_time", "2024-12-02", "11: wallet_return_time[0].value is not a time of day such as 22:00:00"),
        (
            "wallet_return_time",
            "\"06:00\"",
            "11: wallet_return_time[0].value must be a time of day such as 22:00:00, not string",
        ),
        (
            "channels",
            "[{ channel = \"CITY_APP\", evidence = [], grants = [\"SPEND\"], effective = \"SOON\" }]",
            "11: channels[0].value[0].effective is \"SOON\", not one of AT_ONCE, NEXT_DAY",
        ),
        (
            "channels",
            "[{ channel = \"CITY_APP\", evidence = [], evidence_any = [\"OWNER_ID\"], grants = [\"SPEND\"] }]",
            "11: channels[0].value[0].evidence_any names no choice: what is always asked for belongs to evidence",
        ),
        ("releases", "[{ channel = \"CITY_APP\" }]", "11: releases[0].value[0].evidence is missing"),
        (
            "card_activation",
            "[{ channel = \"CITY_APP\", evidence = [] }]",
            "11: card_activation[0].value[0].channel is \"CITY_APP\", not one of AGENCY, HOTLINE_12333, ISSUING_BANK",
        ),
    ] {
        check(&entry(param, value), expected);
    }
}
