use super::super::{PolicyFiles, load};
use super::{FILES, code, day};
use crate::domain::policy::Param;

const REGION_HEADER: &str = "code,name,aliases,parent,level,valid_from,valid_to,policy,source,grade\n";
const REGIONS: &str = "440000,广东省,,,PROVINCE_NODE,1998-12-14,,,s,GUIDE\n\
                       440300,深圳市,,440000,CITY,1998-12-14,,440300-t,s,GUIDE\n";
const OPENING_HEADER: &str = "unit,since,source,grade,note\n";
const SOURCES: &str = "[s]\ndocument = \"d\"\ngrade = \"GUIDE\"\n";
/// Six lines; what follows begins on line 7.
const HEAD: &str =
    "schema = 1\nregion = \"440300\"\nextends = \"national\"\n[sources.own]\ndocument = \"d\"\ngrade = \"GUIDE\"\n";

/// A small tree: the real national values, one province, one city with a folder of its own.
fn tree() -> PolicyFiles {
    let mut files = PolicyFiles::default();
    let mut add = |name: &str, text: String| files.0.insert(name.to_owned(), text);
    let shared = FILES.get("sources.toml").expect("shared sources");
    add("national/policy.toml", FILES.get("national/policy.toml").expect("national values").to_owned());
    add("national/cross_province.csv", OPENING_HEADER.to_owned());
    add("regions.csv", format!("{REGION_HEADER}{REGIONS}"));
    add("sources.toml", format!("{SOURCES}{shared}"));
    add("440300-t/policy.toml", HEAD.to_owned());
    files
}

/// Loads the tree with one file replaced; `expected` are all problems, one a line.
fn check_file(name: &str, text: &str, expected: &str) {
    let mut files = tree();
    files.0.insert(name.to_owned(), text.to_owned());
    let found = load(&files).map_or_else(
        |error| error.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        |_| "loads".to_owned(),
    );
    assert_eq!(found, expected, "\n--- {name}\n{text}");
}

/// One folder whose entries are `body`; problems are given without the file's name.
fn check(body: &str, expected: &str) {
    let expected: Vec<_> = expected
        .lines()
        .map(|line| if line == "loads" { line.to_owned() } else { format!("440300-t/policy.toml:{line}") })
        .collect();
    check_file("440300-t/policy.toml", &format!("{HEAD}{body}"), &expected.join("\n"));
}

/// An entry of `floor` on four lines.
fn floor(life: &str, rest: &str) -> String {
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

#[test]
fn heads_of_files() {
    let file = "440300-t/policy.toml";
    let body = "[sources.own]\ndocument = \"d\"\ngrade = \"GUIDE\"\n";
    for (head, expected) in [
        ("region = \"440300\"\nextends = \"national\"\n", "440300-t/policy.toml:1: schema is missing"),
        (
            "schema = 2\nregion = \"440300\"\nextends = \"national\"\n",
            "440300-t/policy.toml:1: schema is 2; this program reads 1",
        ),
        ("schema = 1\nregion = \"440300\"\n", "440300-t/policy.toml:1: extends is missing"),
        (
            "schema = 1\nregion = \"440300\"\nextends = \"440300-t\"\n",
            "440300-t/policy.toml:3: extends \"440300-t\" leads back to \"440300-t\"",
        ),
        (
            "schema = 1\nregion = \"440300\"\nextends = \"nation\"\n",
            "440300-t/policy.toml:3: extends \"nation\" is not a folder with a policy.toml",
        ),
        (
            "schema = 1\nregion = \"440100\"\nextends = \"national\"\n",
            "440300-t/policy.toml:0: region 440100 is not a code of regions.csv\n\
             440300-t/policy.toml:2: region 440100 does not match the folder 440300-t",
        ),
        (
            "schema = 1\nregion = \"440300\"\nextends = \"national\"\nx = 1\n",
            "440300-t/policy.toml:4: x is not a known key",
        ),
    ] {
        check_file(file, &format!("{head}{body}"), expected);
    }
    let mut files = tree();
    files.0.insert(file.to_owned(), "schema = \n".to_owned());
    let error = load(&files).expect_err("no TOML");
    assert!(error.to_string().contains("440300-t/policy.toml:1:  is not TOML"), "{error}");
    // A second folder makes a ring; it needs a region of its own, which follows nobody here.
    let mut files = tree();
    files.0.insert(file.to_owned(), HEAD.replace("national", "440000-t"));
    files.0.insert("440000-t/policy.toml".to_owned(), HEAD.replace("440300", "440000").replace("national", "440300-t"));
    let error = load(&files).expect_err("a ring");
    assert!(error.to_string().contains("440300-t/policy.toml:3: extends \"440000-t\" leads back to"), "{error}");
}

#[test]
fn national_values_cover_every_key_and_day() {
    let national = FILES.get("national/policy.toml").expect("national values");
    let line = |needle: &str| national[..national.find(needle).expect(needle)].lines().count() + 1;
    let file = "national/policy.toml";
    let floor = "[[floor]]\nstart = 1998-12-14\n";
    let at = line(floor);
    for (edited, expected) in [
        (
            national.replace("[[floor]]\n", "[[flor]]\n"),
            format!(
                "{file}:1: floor is missing: national values cover every key\n{file}:{at}: flor is not a known key"
            ),
        ),
        (
            national.replace(floor, "[[floor]]\nstart = 1998-12-15\n"),
            format!("{file}:{}: floor[0].start must be 1998-12-14: national values cover every day", at + 1),
        ),
        (
            national.replace(floor, "[[floor]]\nstart = 1998-12-14\nend = 2099-01-01\n"),
            format!("{file}:{}: floor[0].end must be left out: national values cover every day", at + 2),
        ),
    ] {
        check_file(file, &edited, &expected);
    }
}

#[test]
fn rows_of_regions() {
    let file = "regions.csv";
    for (rows, expected) in [
        ("", "loads"),
        ("440300,深圳,,440000,CITY,1998-12-14,,440300-t,s,GUIDE\n", "regions.csv:4: code 440300 is named twice"),
        (
            "44010,广州市,,440000,CITY,1998-12-14,,national,s,GUIDE\n",
            "regions.csv:4: code \"44010\" is not a code of six digits",
        ),
        (
            "000000,全国,,,PROVINCE_NODE,1998-12-14,,,s,GUIDE\n",
            "regions.csv:4: code 000000 stands for the nation and is no region",
        ),
        ("440100,,,440000,CITY,1998-12-14,,national,s,GUIDE\n", "regions.csv:4: name is empty"),
        (
            "440100,广州市,,,CITY,1998-12-14,,national,s,GUIDE\n",
            "regions.csv:4: parent is empty: only provinces and municipalities have no parent",
        ),
        (
            "440100,广州市,,430000,CITY,1998-12-14,,national,s,GUIDE\n",
            "regions.csv:4: parent 430000 is not a region of this file",
        ),
        (
            "430100,长沙市,,440000,CITY,1998-12-14,,national,s,GUIDE\n",
            "regions.csv:4: parent 440000 lies in another province",
        ),
        (
            "440100,广州市,,440100,CITY,1998-12-14,,national,s,GUIDE\n",
            "regions.csv:4: parent 440100 does not lead to a province",
        ),
        (
            "440100,广州市,,440000,TOWN,1998-12-14,,national,s,GUIDE\n",
            "regions.csv:4: level is \"TOWN\", not one of PROVINCE_NODE, PROVINCE_POOL, MUNICIPALITY, CITY, CITY_POOL, COUNTY, SPECIAL",
        ),
        (
            "440100,广州市,,440000,CITY,1998,,national,s,GUIDE\n",
            "regions.csv:4: valid_from \"1998\" is not a date such as 2024-07-26",
        ),
        (
            "440100,广州市,,440000,CITY,1998-12-14,1998-12-14,national,s,GUIDE\n",
            "regions.csv:4: valid_to 1998-12-14 is not after valid_from 1998-12-14",
        ),
        (
            "440100,广州市,,440000,CITY,1998-12-14,,,s,GUIDE\n",
            "regions.csv:4: policy is empty: a pool names the folder it follows",
        ),
        (
            "440100,广州市,,440000,CITY,1998-12-14,,x,s,GUIDE\n",
            "regions.csv:4: policy \"x\" is not a folder with a policy.toml",
        ),
        (
            "430000,湖南省,,,PROVINCE_NODE,1998-12-14,,national,s,GUIDE\n",
            "regions.csv:4: policy must be empty: nobody is insured in a province node",
        ),
        (
            "440100,广州市,,440000,CITY,1998-12-14,,national,x,GUIDE\n",
            "regions.csv:4: source \"x\" is not a key of the sources",
        ),
        (
            "440100,广州市,,440000,CITY,1998-12-14,,national,s,OFFICIAL\n",
            "regions.csv:4: grade OFFICIAL is higher than the source's GUIDE",
        ),
        ("440100,广州市,,440000,CITY,1998-12-14,,national,s,\n", "regions.csv:4: grade is empty"),
        ("440100,广州市,440000,CITY,1998-12-14,,national,s,GUIDE\n", "regions.csv:4:  is not a row of 10 columns"),
    ] {
        check_file(file, &format!("{REGION_HEADER}{REGIONS}{rows}"), expected);
    }
    let columns = "must have the columns code,name,aliases,parent,level,valid_from,valid_to,policy,source,grade";
    for text in [String::new(), REGION_HEADER.replace("code", "admdvs")] {
        let expected =
            format!("440300-t/policy.toml:0: region 440300 is not a code of regions.csv\nregions.csv:1:  {columns}");
        check_file(file, &text, &expected);
    }
    let unfollowed = REGIONS.replace("440300-t", "national");
    check_file(
        file,
        &format!("{REGION_HEADER}{unfollowed}"),
        "440300-t/policy.toml:0: region 440300 does not follow this folder in regions.csv\n\
         440300-t/policy.toml:0: region is followed by no pool of regions.csv",
    );
}

#[test]
fn rows_of_openings() {
    let file = "national/cross_province.csv";
    for (rows, expected) in [
        ("440300,2025-01-01,first-batch,UNVERIFIED,\n", "loads"),
        ("440000,2025-01-01,first-batch,UNVERIFIED,a note\n", "loads"),
        (
            "440100,2025-01-01,first-batch,GUIDE,\n",
            "national/cross_province.csv:2: unit 440100 is not a code of regions.csv",
        ),
        (
            "440300,2025,first-batch,GUIDE,\n",
            "national/cross_province.csv:2: since \"2025\" is not a date such as 2024-07-26",
        ),
        (
            "440300,2025-01-01,nobody,GUIDE,\n",
            "national/cross_province.csv:2: source \"nobody\" is not a key of the sources",
        ),
        (
            "440300,2025-01-01,first-batch,SURE,\n",
            "national/cross_province.csv:2: grade is \"SURE\", not one of OFFICIAL, GUIDE, UNVERIFIED, DEMO",
        ),
        (
            "440300,2025-01-01,s,GUIDE,\n440300,2025-02-01,s,GUIDE,\n",
            "national/cross_province.csv:3: unit 440300 is named twice",
        ),
    ] {
        check_file(file, &format!("{OPENING_HEADER}{rows}"), expected);
    }
}

/// City over province over nation: what is handed back, or ends, is the next one's again.
#[test]
fn values_come_from_the_nearest_folder_that_speaks() {
    let entry = |life: &str, fen: i64| {
        let origin = "source = \"own\"\nknown_from = 2026-11-22";
        format!("[[floor]]\n{life}\nvalue = {{ fixed_fen = {fen} }}\n{origin}\n")
    };
    let province = HEAD.replace("440300", "440000") + &entry("start = 2015-01-01\nend = 2019-01-01", 100);
    let city = HEAD.replace("national", "440000-t")
        + &entry("start = 2010-01-01\nend = 2012-01-01", 1)
        + "[[floor]]\nstart = 2012-01-01\nend = 2016-01-01\ninherit = true\n"
        + &entry("start = 2016-01-01\nend = 2017-01-01", 2);
    let mut files = tree();
    files.0.insert("440000-t/policy.toml".to_owned(), province);
    files.0.insert("440300-t/policy.toml".to_owned(), city);
    let book = load(&files).unwrap_or_else(|error| panic!("{error}"));
    for (on, fen, origin) in [
        ("2009-12-31", 0, "000000"),
        ("2010-01-01", 1, "440300"),
        ("2011-12-31", 1, "440300"),
        ("2012-01-01", 0, "000000"),
        ("2014-12-31", 0, "000000"),
        ("2015-01-01", 100, "440000"),
        ("2015-12-31", 100, "440000"),
        ("2016-01-01", 2, "440300"),
        ("2016-12-31", 2, "440300"),
        ("2017-01-01", 100, "440000"),
        ("2018-12-31", 100, "440000"),
        ("2019-01-01", 0, "000000"),
    ] {
        let policy = book.policy(code("440300"), day(on)).expect("a policy on that day");
        let value = policy.value(Param::Floor);
        assert_eq!((policy.rules.floor.amount().as_fen(), value.region), (fen, code(origin)), "on {on}");
        assert!(value.start <= day(on) && value.end.is_none_or(|end| day(on) < end), "the life shown on {on}");
    }
}

#[test]
fn missing_files() {
    for (name, expected) in [
        ("regions.csv", "regions.csv:0:  is missing"),
        ("national/cross_province.csv", "national/cross_province.csv:0:  is missing"),
        ("sources.toml", "sources.toml:0:  is missing"),
        ("national/policy.toml", "national/policy.toml:0:  is missing"),
    ] {
        let mut files = tree();
        files.0.remove(name);
        let error = load(&files).expect_err(name);
        assert!(error.problems.iter().any(|problem| problem.to_string() == expected), "{error}");
    }
}
