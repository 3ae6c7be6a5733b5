//! What the loader refuses of files: their heads, the list of regions, the openings; and from which folder a value comes.

use super::super::load;
use super::refusals::{CODE_HEADER, HEAD, OPENING_HEADER, REGION_HEADER, REGIONS, check_file, tree};
use super::{FILES, code, day};
use crate::domain::policy::Param;

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
        ("660000,兵团,,,SPECIAL,1998-12-14,,national,s,GUIDE\n", "loads"),
        (
            "441900,东莞市,,,SPECIAL,1998-12-14,,national,s,GUIDE\n",
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
fn rows_of_relation_codes() {
    let file = "national/relation_codes.csv";
    for (rows, expected) in [
        (
            "51,PARENT,父亲,s,GUIDE\n56,,岳母,s,UNVERIFIED\n4,PATERNAL_GRANDCHILD|MATERNAL_GRANDCHILD,孙,s,GUIDE\n",
            "loads",
        ),
        ("5x,PARENT,父亲,s,GUIDE\n", ":2: code \"5x\" is not a code of one or two digits"),
        ("510,PARENT,父亲,s,GUIDE\n", ":2: code \"510\" is not a code of one or two digits"),
        ("51,FATHER,父亲,s,GUIDE\n", ":2: relations \"FATHER\" is no relation"),
        ("51,PARENT,,s,GUIDE\n", ":2: name is empty"),
        ("51,PARENT,父亲,nobody,GUIDE\n", ":2: source \"nobody\" is not a key of the sources"),
        ("51,PARENT,父亲,s,GUIDE\n51,CHILD,子,s,GUIDE\n", ":3: code 51 is named twice"),
    ] {
        let expected = if expected == "loads" { expected.to_owned() } else { format!("{file}{expected}") };
        check_file(file, &format!("{CODE_HEADER}{rows}"), &expected);
    }
}

#[test]
fn missing_files() {
    for (name, expected) in [
        ("regions.csv", "regions.csv:0:  is missing"),
        ("national/cross_province.csv", "national/cross_province.csv:0:  is missing"),
        ("national/relation_codes.csv", "national/relation_codes.csv:0:  is missing"),
        ("sources.toml", "sources.toml:0:  is missing"),
        ("national/policy.toml", "national/policy.toml:0:  is missing"),
    ] {
        let mut files = tree();
        files.0.remove(name);
        let error = load(&files).expect_err(name);
        assert!(error.problems.iter().any(|problem| problem.to_string() == expected), "{error}");
    }
}
