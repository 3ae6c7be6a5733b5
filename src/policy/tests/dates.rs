use std::collections::BTreeSet;

use jiff::civil::Date;

use super::super::{PolicyFiles, load};
use super::{BOOK, FILES, code, day};
use crate::domain::ids::RegionCode;
use crate::domain::policy::{Citation, Param};
use crate::domain::vocabulary::Grade;

/// Each row: region, key, the day before the change, its text, the day of the change, its text.
#[test]
fn values_change_on_their_day() {
    let three = "SPOUSE,PARENT,CHILD";
    let lineal =
        "SPOUSE,PARENT,CHILD,PATERNAL_GRANDPARENT,MATERNAL_GRANDPARENT,PATERNAL_GRANDCHILD,MATERNAL_GRANDCHILD";
    let eight =
        "SPOUSE,PARENT,CHILD,SIBLING,PATERNAL_GRANDPARENT,MATERNAL_GRANDPARENT,PATERNAL_GRANDCHILD,MATERNAL_GRANDCHILD";
    let share = r#"{"rate":"0.05","of_fen":8975700,"rounding":"HALF_UP_FEN"}"#;
    let (zero, fixed) = (r#"{"fixed_fen":0}"#, r#"{"fixed_fen":420000}"#);
    let two_years = "CURRENT_YEAR,PRIOR_YEARS";
    let components = "DEDUCTIBLE,CO_PAYMENT,FIRST_SELF_PAY";
    let all_components = "DEDUCTIBLE,CO_PAYMENT,FIRST_SELF_PAY,OVER_LIMIT,FULL_SELF_PAY";
    let care = "OUTPATIENT,INPATIENT,PHARMACY";
    let with_resident = "OUTPATIENT,INPATIENT,PHARMACY,RESIDENT_PREMIUM";
    let with_long_term = "OUTPATIENT,INPATIENT,PHARMACY,RESIDENT_PREMIUM,LONG_TERM_CARE_PREMIUM";
    let own_long_term = "OUTPATIENT,INPATIENT,PHARMACY,LONG_TERM_CARE_PREMIUM";
    let (old_ban, ban) = (
        "CASH_WITHDRAWAL,NON_DESIGNATED",
        "PUBLIC_HEALTH,SPORT_FITNESS,HEALTH_PRESERVING,CASH_WITHDRAWAL,NON_DESIGNATED",
    );
    // The nation, seen through a pool that follows it.
    check("620100", "modes", "2021-04-21", "", "2021-04-22", "DIRECT_DRAW");
    check("620100", "modes", "2024-12-01", "DIRECT_DRAW", "2024-12-02", "DIRECT_DRAW,WALLET_TRANSFER");
    check("620100", "relations", "2021-04-21", "", "2021-04-22", three);
    check("620100", "relations", "2024-07-25", three, "2024-07-26", eight);
    check("620100", "beneficiary_scope", "2021-04-21", "NOWHERE", "2021-04-22", "SAME_REGION");
    check("620100", "beneficiary_scope", "2024-12-30", "SAME_REGION", "2024-12-31", "SAME_PROVINCE");
    check("620100", "beneficiary_schemes", "2021-04-21", "", "2021-04-22", "EMPLOYEE,RESIDENT");
    check("620100", "own_buckets", "2024-12-01", two_years, "2024-12-02", "CURRENT_YEAR,PRIOR_YEARS,WALLET");
    check("620100", "relative_buckets", "2021-04-21", "", "2021-04-22", "PRIOR_YEARS,CURRENT_YEAR");
    check("620100", "own_purposes", "2026-01-08", care, "2026-01-09", own_long_term);
    check("620100", "relative_purposes", "2021-04-21", "", "2021-04-22", care);
    check("620100", "relative_purposes", "2024-07-25", care, "2024-07-26", with_resident);
    check("620100", "relative_purposes", "2026-01-08", with_resident, "2026-01-09", with_long_term);
    check("620100", "prohibited_purposes", "2021-04-21", old_ban, "2021-04-22", ban);
    check("620100", "relative_components", "2021-04-21", "", "2021-04-22", components);
    check("620100", "release_on_end_or_move", "2026-01-08", "false", "2026-01-09", "true");
    // Shenzhen.
    check("440300", "modes", "2009-12-31", "", "2010-01-01", "DIRECT_DRAW");
    check("440300", "modes", "2021-04-21", "DIRECT_DRAW", "2021-04-22", "DIRECT_DRAW");
    check("440300", "relations", "2009-12-31", "", "2010-01-01", lineal);
    check("440300", "relations", "2023-09-30", lineal, "2023-10-01", three);
    check("440300", "relations", "2024-10-31", three, "2024-11-01", eight);
    check("440300", "beneficiary_scope", "2009-12-31", "NOWHERE", "2010-01-01", "SAME_REGION");
    check("440300", "beneficiary_scope", "2024-12-30", "SAME_REGION", "2024-12-31", "SAME_PROVINCE");
    check("440300", "owner_tiers", "2023-09-30", "1", "2023-10-01", "");
    check("440300", "relative_buckets", "2023-09-30", "PRIOR_YEARS", "2023-10-01", "PRIOR_YEARS,CURRENT_YEAR");
    check("440300", "floor", "2009-12-31", zero, "2010-01-01", fixed);
    check("440300", "floor", "2017-06-30", fixed, "2017-07-01", share);
    check("440300", "floor", "2023-09-30", share, "2023-10-01", zero);
    check("440300", "own_account_order", "2023-09-30", "OWN_FIRST", "2023-10-01", "RELATIVES_ONLY_IF_OWN_ZERO");
    let (old, new) = ("OUTPATIENT,INPATIENT,VACCINATION", "OUTPATIENT,INPATIENT,PHARMACY,VACCINATION");
    check("440300", "relative_purposes", "2023-09-30", old, "2023-10-01", new);
    check("440300", "paper_authorisation", "2009-12-31", "false", "2010-01-01", "true");
    check("440300", "paper_authorisation", "2023-09-30", "true", "2023-10-01", "false");
    // Hangzhou.
    check("330100", "modes", "2019-12-31", "", "2020-01-01", "TRANSFER_BEFOREHAND");
    check("330100", "modes", "2021-12-31", "TRANSFER_BEFOREHAND", "2022-01-01", "DIRECT_DRAW");
    check("330100", "relations", "2019-12-31", "", "2020-01-01", three);
    check("330100", "relations", "2024-07-25", three, "2024-07-26", eight);
    check("330100", "beneficiary_scope", "2021-12-31", "SAME_REGION", "2022-01-01", "SAME_PROVINCE");
    check("330100", "relative_buckets", "2019-12-31", "", "2020-01-01", "PRIOR_YEARS");
    check("330100", "relative_buckets", "2021-12-31", "PRIOR_YEARS", "2022-01-01", "PRIOR_YEARS");
    check("330100", "relative_components", "2021-12-31", components, "2022-01-01", all_components);
    check("330100", "own_components", "2021-12-31", components, "2022-01-01", all_components);
}

fn check(region: &str, key: &str, before: &str, old: &str, from: &str, new: &str) {
    assert_eq!(day(before).tomorrow().ok(), Some(day(from)), "{region} {key}: the two days follow each other");
    for (on, expected) in [(before, old), (from, new)] {
        assert_eq!(text(region, key, on), expected, "{region} {key} on {on}");
    }
}

fn text(region: &str, key: &str, on: &str) -> String {
    let policy = BOOK.policy(code(region), day(on)).expect("a policy on that day");
    policy.value(Param::parse(key).expect("a key in a test")).text.clone()
}

#[test]
fn tables_change_on_their_day() {
    for (region, key, on, names) in [
        ("620100", "fund_shares", "2021-04-21", vec![]),
        ("620100", "fund_shares", "2021-04-22", vec!["national-outpatient-50"]),
        ("440300", "fund_shares", "2009-12-31", vec![]),
        ("440300", "fund_shares", "2010-01-01", vec!["sz-chc-70-30"]),
        ("440300", "fund_shares", "2021-04-21", vec!["sz-chc-70-30"]),
        ("440300", "fund_shares", "2021-04-22", vec!["sz-chc-70-30", "sz-hospital-national-50"]),
        ("440300", "fund_shares", "2023-10-01", vec!["national-outpatient-50"]),
        ("620100", "channels", "2021-04-21", vec![]),
        (
            "620100",
            "channels",
            "2021-04-22",
            vec!["AGENCY_WINDOW", "CITY_APP", "NATIONAL_APP", "E_CARD_FAMILY_SERVICE", "STREET_OFFICE"],
        ),
        ("440300", "channels", "2023-09-30", vec!["PERSONAL_WEB_PAGE", "AGENCY_WINDOW", "HOSPITAL_OFFICE"]),
        (
            "440300",
            "channels",
            "2023-10-01",
            vec!["CITY_APP", "PERSONAL_WEB_PAGE", "AGENCY_WINDOW", "HOSPITAL_OFFICE", "E_CARD_FAMILY_SERVICE"],
        ),
        ("330100", "channels", "2021-12-31", vec!["CITY_APP"]),
        (
            "330100",
            "channels",
            "2022-01-01",
            vec!["AGENCY_WINDOW", "CITY_APP", "NATIONAL_APP", "E_CARD_FAMILY_SERVICE", "STREET_OFFICE"],
        ),
    ] {
        let policy = BOOK.policy(code(region), day(on)).expect("a policy on that day");
        let found: Vec<&str> = if key == "channels" {
            policy.rules.channels.iter().map(|rule| rule.channel.name()).collect()
        } else {
            policy.rules.fund_shares.iter().map(|row| row.name.as_str()).collect()
        };
        assert_eq!(found, names, "{region} {key} on {on}");
    }
}

/// W-93 and the value that follows it.
#[test]
fn the_floor_of_shenzhen_is_exact() {
    for (on, fen) in [("2009-12-31", 0), ("2017-06-30", 420_000), ("2017-07-01", 448_785), ("2023-10-01", 0)] {
        let policy = BOOK.policy(code("440300"), day(on)).expect("a policy on that day");
        assert_eq!(policy.rules.floor.amount().as_fen(), fen, "on {on}");
    }
}

/// W-83, W-85 and what stays closed.
#[test]
fn regions_open_on_their_day() {
    for (region, before, since) in [
        ("320500", "2024-12-01", Some("2024-12-02")),
        ("510100", "2024-12-01", Some("2024-12-02")),
        ("500235", "2024-12-01", Some("2024-12-02")),
        ("133100", "2024-12-01", Some("2024-12-02")),
        ("133199", "2025-05-07", Some("2025-05-08")),
        ("660000", "2025-05-07", Some("2025-05-08")),
        ("139900", "2024-12-01", Some("2024-12-02")),
        ("410200", "2025-05-07", Some("2025-05-08")),
        ("429006", "2025-05-07", Some("2025-05-08")),
        ("500000", "2025-06-29", Some("2025-06-30")),
        ("360199", "2025-06-29", Some("2025-06-30")),
        ("440300", "2026-11-22", None),
        ("330100", "2026-11-22", None),
        ("320100", "2026-11-22", None),
        ("120000", "2026-11-22", None),
    ] {
        assert!(BOOK.regions.open_on(code(region), day(before)).is_none(), "{region} on {before}");
        assert_eq!(BOOK.regions.opening(code(region)).map(|opening| opening.since), since.map(day), "{region}");
    }
}

/// 31 regions in nine provinces, and nobody before or beside them until the next day that is known.
#[test]
fn the_first_batch_is_the_published_list() {
    let hebei =
        "130100 130181 130200 130300 130400 130500 130600 130682 130700 130800 130900 131000 131100 133100 139900";
    let others = "320500 340400 371400 410100 411500 420600 421100 421200 421300 422800 429005 500235 510100 511600 519900 622900";
    let batch: Vec<RegionCode> = hebei.split(' ').chain(others.split(' ')).map(code).collect();
    let provinces: BTreeSet<RegionCode> = batch.iter().map(|code| code.province()).collect();
    assert_eq!((batch.len(), provinces.len()), (31, 9));
    for (on, expected) in [
        ("1998-12-14", &[][..]),
        ("2024-12-01", &[]),
        ("2024-12-02", &batch),
        ("2024-12-31", &batch),
        ("2025-05-07", &batch),
    ] {
        let open = BOOK.regions.iter().filter(|region| BOOK.regions.open_on(region.code, day(on)).is_some());
        assert_eq!(open.map(|region| region.code).collect::<Vec<_>>(), expected, "{on}");
    }
}

#[test]
fn every_value_of_every_pool_has_a_source_on_every_day() {
    for region in BOOK.regions.iter() {
        let revisions = BOOK.revisions(region.code);
        assert_eq!(revisions.is_empty(), !region.level.is_pool(), "{}", region.code);
        assert!(!region.citation.document.is_empty(), "{}", region.code);
        let Some(first) = revisions.first() else { continue };
        assert_eq!(first.revision.start, day("1998-12-14"), "{}", region.code);
        for policy in revisions {
            assert_eq!(policy.region, region.code);
            assert!(policy.values.iter().map(|value| value.param).eq(Param::ALL.iter().copied()));
            for value in policy.values.iter() {
                assert!(!value.citation.document.is_empty(), "{:?}", value.param);
                assert!(value.grade.code() >= value.citation.grade.code(), "{:?}", value.param);
                assert!(value.start <= policy.revision.start, "{:?} starts with or before its revision", value.param);
                let ends_after = value.end.is_none_or(|end| policy.revision.end.is_some_and(|own| own <= end));
                assert!(ends_after, "{:?} lasts as long as its revision", value.param);
            }
        }
    }
}

/// Whoever is surer than UNVERIFIED does not hold before the day that the source itself gives.
#[test]
fn nothing_sourced_begins_before_its_source() {
    let mut wrong = BTreeSet::new();
    let mut check = |grade: Grade, start: Date, citation: &Citation, place: String| {
        let sure = grade.code() <= Grade::Guide.code();
        if sure && citation.effective.is_some_and(|day| start < day) {
            wrong.insert(format!("{place} from {start}"));
        }
    };
    for region in BOOK.regions.iter().map(|region| region.code).chain([RegionCode::NATIONAL]) {
        for value in BOOK.revisions(region).iter().flat_map(|policy| policy.values.iter()) {
            check(value.grade, value.start, &value.citation, format!("{region} {}", value.param.name()));
        }
        let tables = BOOK.calculation.revisions(region).iter().flat_map(|revision| revision.entries.iter().flatten());
        for origin in tables.filter_map(|entry| entry.origin.as_ref()) {
            check(origin.grade, origin.start, &origin.citation, origin.place.clone());
        }
    }
    assert_eq!(wrong, BTreeSet::new());
}

/// A value taken over from the nation is shown with the life it has in the region.
#[test]
fn inherited_values_are_cut_where_the_region_speaks() {
    let policy = BOOK.policy(code("440300"), day("2005-01-01")).expect("a policy on that day");
    let floor = policy.value(Param::Floor);
    assert_eq!((floor.region, floor.end), (RegionCode::NATIONAL, Some(day("2010-01-01"))));
    let policy = BOOK.policy(code("440300"), day("2022-01-01")).expect("a policy on that day");
    let modes = policy.value(Param::Modes);
    assert_eq!(
        (modes.region, modes.start, modes.end),
        (RegionCode::NATIONAL, day("2021-04-22"), Some(day("2024-12-02")))
    );
}

#[test]
fn the_family_service_does_not_spend() {
    for region in ["620100", "440300", "330100"] {
        let policy = BOOK.policy(code(region), day("2026-11-22")).expect("a policy on that day");
        for rule in &policy.rules.channels {
            let spends = rule.grants.iter().any(|grant| grant.name() == "SPEND");
            assert_eq!(spends, rule.channel.name() != "E_CARD_FAMILY_SERVICE", "{region} {}", rule.channel.name());
        }
    }
}

/// The embedded copy is the directory; a book has one digest; regions of one folder differ in theirs.
#[test]
fn digests_are_stable_and_tell_regions_apart() {
    let again = load(&PolicyFiles::embedded()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.digest, BOOK.digest);
    let digest = |region| BOOK.policy(code(region), day("2026-11-22")).map(|policy| policy.revision.digest);
    assert_ne!(digest("620100"), digest("130200"));
    let mut files = FILES.clone();
    let text = files.0.get_mut("national/policy.toml").expect("the national file");
    *text = text.replace("rate = \"0.50\"", "rate = \"0.51\"");
    let changed = load(&files).unwrap_or_else(|error| panic!("{error}"));
    assert_ne!(changed.digest, BOOK.digest);
    let revisions = |book: &crate::domain::policy::PolicyBook, on| {
        book.policy(code("620100"), day(on)).map(|policy| policy.revision.digest)
    };
    assert_eq!(
        revisions(&changed, "2021-04-21"),
        revisions(&BOOK, "2021-04-21"),
        "an earlier revision keeps its digest"
    );
    assert_ne!(revisions(&changed, "2021-04-22"), revisions(&BOOK, "2021-04-22"));
}

/// What is shown of a value or kept of it is part of its revision: with another remark it is another revision.
#[test]
fn digests_cover_all_that_is_shown() {
    let national = "national/policy.toml";
    let rows = [
        (national, "note = \"As for the owner.\"", "note = \"As for the owner, too.\""),
        (national, "note = \"No national act asks the owner", "note = \"No act asks the owner"),
        (national, "article = \"四步：入口", "article = \"入口"),
        (national, "url = \"https://hn.ccedn.com.cn", "url = \"http://hn.ccedn.com.cn"),
        (national, "known_from = 2026-11-22", "known_from = 2026-11-23"),
        ("sources.toml", "effective = 2024-12-31", "effective = 2024-12-30"),
        ("sources.toml", "note = \"Known from press reports", "note = \"From press reports"),
    ];
    for (file, from, to) in rows {
        let mut files = FILES.clone();
        let text = files.0.get_mut(file).expect("a file");
        assert!(text.contains(from), "{file} has no {from}");
        *text = text.replacen(from, to, 1);
        let changed = load(&files).unwrap_or_else(|error| panic!("{error}"));
        let differing = changed.every_revision().zip(BOOK.every_revision());
        let differing = differing.filter(|(now, then)| now.revision.digest != then.revision.digest).count();
        assert!(differing > 0 && changed.digest != BOOK.digest, "{from}: no revision has another digest");
    }
    let row = "622900,2024-12-02,first-batch,GUIDE,";
    let mut files = FILES.clone();
    let text = files.0.get_mut("national/cross_province.csv").expect("openings");
    *text = text.replacen(row, &format!("{row}a remark"), 1);
    assert_ne!(load(&files).unwrap_or_else(|error| panic!("{error}")).digest, BOOK.digest);
}
