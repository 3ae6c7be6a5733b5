//! RegionService.

use gongji::domain::ids::RegionCode;
use gongji::domain::time::parse_day;

use crate::support::*;

fn policy(server: &TestServer, region: &str, on: &str) -> proto::Policy {
    let request = proto::GetPolicyRequest { region_code: region.to_owned(), on: on.to_owned() };
    server.get_policy(request).expect("a policy").policy.expect("set")
}

#[test]
fn a_policy_is_that_of_its_day_and_every_value_has_a_source() {
    let server = Setup::memory().start();
    for (on, floor, order) in [
        ("2017-06-30", 420_000, "OWN_FIRST"),
        ("2017-07-01", 448_785, "OWN_FIRST"),
        ("2023-09-30", 448_785, "OWN_FIRST"),
        ("2023-10-01", 0, "RELATIVES_ONLY_IF_OWN_ZERO"),
        ("", 0, "RELATIVES_ONLY_IF_OWN_ZERO"),
    ] {
        let found = policy(&server, "440300", on);
        assert_eq!((found.floor_fen, found.own_account_rule.as_str()), (Some(floor), order), "{on}");
        for value in &found.values {
            assert!(found.citations.iter().any(|citation| citation.id == value.citation_id), "{}", value.name);
        }
    }
}

/// The calculation tables of a region and day: its own, its province's, the nation's, and none that is withheld.
#[test]
fn the_calculation_tables_of_a_region_come_with_its_policy() {
    let server = Setup::memory().start();
    let check = |region: &str, on: &str, name: &str, expected: Option<(&str, &str, &str, &str)>| {
        let request = proto::GetPolicyRequest { region_code: region.to_owned(), on: on.to_owned() };
        let found = server.get_policy(request).expect("a policy");
        let tables = &found.calculation_tables;
        assert!(tables.len() > 30 || on < "2005-12-03", "{region} {on}: {} tables", tables.len());
        let table = tables.iter().find(|table| table.name == name);
        let told = table.map(|table| {
            let cited = found.calculation_citations.iter().find(|citation| citation.id == table.citation_id);
            let document = &cited.unwrap_or_else(|| panic!("{name}: no source")).document;
            assert!(!document.is_empty() && table.grade() != proto::Grade::Unspecified, "{region} {on} {name}");
            (table.value.as_str(), table.region_code.as_str(), table.start_date.as_str(), table.end_date.as_str())
        });
        assert_eq!(told, expected, "{region} {on} {name}");
    };
    check("310000", "2025-06-30", "average_wage", None);
    check("310000", "2025-07-01", "average_wage", Some(("1243400", "310000", "2025-07-01", "2026-07-01")));
    check("310000", "2026-06-30", "average_wage", Some(("1243400", "310000", "2025-07-01", "2026-07-01")));
    check("310000", "2026-07-01", "average_wage", None);
    // A county takes its municipality's, a city its province's, the others the nation's.
    let chongqing = r#"{"mode":"CEILING","decimals":0}"#;
    check("500235", "2025-01-01", "payout_rule", Some((chongqing, "500000", "2025-01-01", "")));
    let nation = r#"{"fixed_months":3,"per_missed_year_months":1}"#;
    check("440300", "2024-12-31", "resident_waiting", Some((NO_WAITING, "000000", "1998-12-14", "2025-01-01")));
    check("440300", "2025-01-01", "resident_waiting", Some((nation, "000000", "2025-01-01", "")));
    // Twenty-five tiers, which are not on file: not the nation's nine.
    let nine = r#"["0.6","0.7","0.8","0.9","1","1.5","2","2.5","3"]"#;
    check("440300", "2025-01-01", "flexible_tiers", Some((nine, "000000", "1998-12-14", "")));
    check("500000", "2025-01-01", "flexible_tiers", None);
    check("440300", "1998-12-14", "resident_tiers", None);
}

const NO_WAITING: &str = r#"{"fixed_months":0,"per_missed_year_months":0}"#;

#[test]
fn regions_are_found_by_code_name_and_opening() {
    let server = Setup::memory().start();
    let list = |province: &str, name: &str, cross: bool, on: &str| {
        let request = proto::ListRegionsRequest {
            province_code: province.to_owned(),
            name_contains: name.to_owned(),
            cross_province_only: cross,
            on: on.to_owned(),
            page_size: 500,
            ..Default::default()
        };
        server.list_regions(request).map(|page| page.regions)
    };
    assert_eq!(list("", "深圳", false, "").expect("a page")[0].code, "440300");
    assert!(list("", "", true, "2024-12-01").expect("a page").is_empty(), "nobody is open before the first day");
    let open = list("510000", "", true, "2024-12-02").expect("a page");
    assert!(open.iter().any(|region| region.code == "510100" && region.cross_province_since == "2024-12-02"));
    let message = |status: tonic::Status| format!("{} {}", words(&status), status.message());
    for no_province in ["990000", "440300", "130181"] {
        let told = message(list(no_province, "", false, "").expect_err("no province"));
        assert_eq!(told, "NotFound REGION_NOT_FOUND no such province on that day", "{no_province}");
    }
    let corps = list("660000", "", true, "2025-05-08").expect("a page");
    let corps: Vec<_> = corps.iter().map(|region| (&region.code[..], region.level())).collect();
    assert_eq!(corps, [("660000", proto::RegionLevel::Special)]);
    let get =
        |code: &str| server.get_region(proto::GetRegionRequest { region_code: code.to_owned(), on: String::new() });
    assert_eq!(get("130181").expect("found").region.expect("set").province_code, "130000");
    assert_eq!(failed(get("999999")), "NotFound REGION_NOT_FOUND");
    // What says both that it is there and that it opened is told once.
    for (region, on, sources, since, from) in [
        ("130181", "2024-12-01", 1, "", "1998-12-14"),
        ("130181", "2024-12-02", 1, "2024-12-02", "1998-12-14"),
        ("340400", "", 1, "2024-12-02", "1998-12-14"),
        ("133100", "", 2, "2024-12-02", "2017-04-01"),
        ("660000", "2025-05-07", 1, "", "1998-12-14"),
        ("660000", "2025-05-08", 2, "2025-05-08", "1998-12-14"),
        ("440300", "", 1, "", "1998-12-14"),
    ] {
        let request = proto::GetRegionRequest { region_code: region.to_owned(), on: on.to_owned() };
        let found = server.get_region(request).expect("found").region.expect("set");
        let ids: std::collections::BTreeSet<_> = found.sources.iter().map(|source| &source.id).collect();
        assert_eq!((found.sources.len(), ids.len()), (sources, sources), "{region} on {on:?}");
        assert_eq!((&found.cross_province_since[..], &found.valid_from[..]), (since, from), "{region}");
    }
    assert_eq!(failed(get("x")), "InvalidArgument INVALID_FIELDS region_code");
    let no_pool = "NotFound REGION_NOT_FOUND the region is no pool: nobody is insured there, and it has no policy";
    let none = proto::GetPolicyRequest { region_code: "130000".to_owned(), on: String::new() };
    assert_eq!(message(server.get_policy(none).expect_err("no pool")), no_pool);
    let none = proto::ListPolicyRevisionsRequest { region_code: "130000".to_owned(), ..Default::default() };
    assert_eq!(message(server.list_policy_revisions(none).expect_err("no pool")), no_pool);
    let none = proto::CheckSharingRequest {
        owner_region_code: "440300".to_owned(),
        beneficiary_region_code: "130000".to_owned(),
        relation: 1,
        ..Default::default()
    };
    assert_eq!(message(server.check_sharing(none).expect_err("no pool")), no_pool);
    let corps = proto::GetPolicyRequest { region_code: "660000".to_owned(), on: String::new() };
    assert_eq!(server.get_policy(corps).expect("a pool").policy.expect("set").region_code, "660000");
    server.create_member(person(1, "660000")).expect("people are insured there");
}

#[test]
fn a_region_that_is_not_there_is_told_with_its_field() {
    let server = Setup::memory().start();
    let none = || "999999".to_owned();
    let sharing = |owner: &str, beneficiary: &str| {
        let (owner_region_code, beneficiary_region_code) = (owner.to_owned(), beneficiary.to_owned());
        let request = proto::CheckSharingRequest {
            owner_region_code,
            beneficiary_region_code,
            relation: 1,
            ..Default::default()
        };
        server.check_sharing(request).expect_err("not there")
    };
    let (known, province) = ("440300", "130000");
    let get = proto::GetRegionRequest { region_code: none(), ..Default::default() };
    let list = proto::ListRegionsRequest { province_code: none(), ..Default::default() };
    let policy = |code: &str| proto::GetPolicyRequest { region_code: code.to_owned(), ..Default::default() };
    let revisions = proto::ListPolicyRevisionsRequest { region_code: none(), ..Default::default() };
    let mut member = person(1, known);
    member.insurance.as_mut().expect("set").region_code = none();
    let insurance = proto::UpdateInsuranceRequest {
        request_id: "u".to_owned(),
        member: by_id(&server.member(2, known, 0)),
        insurance: member.insurance.clone(),
        ..Default::default()
    };
    let close = proto::CloseYearRequest {
        request_id: "c".to_owned(),
        of: Some(proto::close_year_request::Of::RegionCode(none())),
        year: 2024,
        ..Default::default()
    };
    let wage = proto::CalculateContributionRequest { region_code: none(), wage_fen: Some(1), ..Default::default() };
    let rows = [
        (server.get_region(get).expect_err("not there"), "region_code"),
        (server.list_regions(list).expect_err("not there"), "province_code"),
        (server.get_policy(policy(&none())).expect_err("not there"), "region_code"),
        (server.get_policy(policy(province)).expect_err("no pool"), "region_code"),
        (server.list_policy_revisions(revisions).expect_err("not there"), "region_code"),
        (sharing(&none(), known), "owner_region_code"),
        (sharing(province, known), "owner_region_code"),
        (sharing(known, &none()), "beneficiary_region_code"),
        (server.create_member(member).expect_err("not there"), "insurance.region_code"),
        (server.update_insurance(insurance).expect_err("not there"), "insurance.region_code"),
        (server.close_year(close).expect_err("not there"), "region_code"),
        (server.calculate_contribution(wage).expect_err("not there"), "region_code"),
    ];
    for (place, (status, field)) in rows.into_iter().enumerate() {
        let told = told(&status);
        let named = told.metadata.get("field").map(String::as_str);
        assert_eq!((told.reason.as_str(), named), ("REGION_NOT_FOUND", Some(field)), "row {place}");
    }
}

#[test]
fn sharing_is_asked_with_all_fields() {
    let server = Setup::memory().start();
    let empty = failed(server.check_sharing(proto::CheckSharingRequest::default()));
    assert_eq!(empty, "InvalidArgument INVALID_FIELDS beneficiary_region_code owner_region_code relation");
    let unknown = proto::CheckSharingRequest {
        owner_region_code: "440300".to_owned(),
        beneficiary_region_code: "999999".to_owned(),
        relation: 1,
        ..Default::default()
    };
    assert_eq!(failed(server.check_sharing(unknown)), "NotFound REGION_NOT_FOUND");
}

/// Found by review: what GetRegion did not know had a policy, and shared.
#[test]
fn a_region_answers_on_the_days_on_which_it_exists() {
    let server = Setup::memory().start();
    let told = |code: &str, on: &str| {
        let (region_code, on) = (code.to_owned(), on.to_owned());
        let region = server.get_region(proto::GetRegionRequest { region_code: region_code.clone(), on: on.clone() });
        let policy = server.get_policy(proto::GetPolicyRequest { region_code: region_code.clone(), on: on.clone() });
        let [one, other] = [(&region_code, "130100"), (&"130100".to_owned(), code)].map(|(owner, beneficiary)| {
            let (owner_region_code, beneficiary_region_code) = (owner.clone(), beneficiary.to_owned());
            let relation = proto::Relation::Child as i32;
            let on = on.clone();
            let explanation_view = 0;
            let request = proto::CheckSharingRequest {
                owner_region_code,
                beneficiary_region_code,
                relation,
                on,
                explanation_view,
            };
            server.check_sharing(request).is_ok()
        });
        let all = [region.is_ok(), policy.is_ok(), one, other];
        assert!(all.iter().all(|each| *each == all[0]), "{code} {on:?}: {all:?}");
        all[0]
    };
    // Laiwu became a part of Jinan on 2019-01-01; Xiong'an began on 2017-04-01. Law is asked about for days to come too.
    for (code, on, exists) in [
        ("371200", "2018-12-31", true),
        ("371200", "2019-01-01", false),
        ("133100", "2017-03-31", false),
        ("133100", "2017-04-01", true),
        ("440300", "2099-01-01", true),
    ] {
        assert_eq!(told(code, on), exists, "{code} {on}");
    }
}

#[test]
fn revisions_follow_each_other_and_say_what_they_changed() {
    let server = Setup::memory().start();
    let page = |token: &str, size| {
        let request = proto::ListPolicyRevisionsRequest {
            region_code: "440300".to_owned(),
            page_size: size,
            page_token: token.to_owned(),
        };
        server.list_policy_revisions(request).expect("a page")
    };
    let whole = page("", 500);
    assert!(whole.next_page_token.is_empty() && whole.revisions.len() > 5);
    let revision = |place: usize| whole.revisions[place].revision.clone().expect("set");
    for place in 1..whole.revisions.len() {
        assert_eq!(revision(place - 1).end_date, revision(place).start_date);
        assert!(!whole.revisions[place].changes.is_empty(), "{}", revision(place).start_date);
    }
    assert_eq!(revision(whole.revisions.len() - 1).end_date, "");
    let of = |start: &str| {
        let found = whole.revisions.iter().find(|found| found.revision.as_ref().expect("set").start_date == start);
        let mut changes = found.expect("a revision").changes.clone();
        changes.retain(|change| change.before != change.after);
        changes
    };
    let eight = of("2024-11-01").into_iter().find(|change| change.name == "relations").expect("relations change");
    assert_eq!((eight.before.as_str(), eight.after.matches(',').count()), ("SPOUSE,PARENT,CHILD", 7));
    assert!(whole.citations.iter().any(|citation| citation.id == eight.citation_id));
    assert!(of("2023-10-01").iter().any(|change| change.name == "own_account_order"));
    // Pages put together are the whole.
    let (mut token, mut starts) = (String::new(), Vec::new());
    loop {
        let next = page(&token, 2);
        starts.extend(next.revisions.into_iter().map(|found| found.revision.expect("set").start_date));
        token = next.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let all: Vec<String> = (0..whole.revisions.len()).map(|place| revision(place).start_date).collect();
    assert_eq!(starts, all);
    let none = proto::ListPolicyRevisionsRequest { region_code: "440000".to_owned(), ..Default::default() };
    assert_eq!(failed(server.list_policy_revisions(none)), "NotFound REGION_NOT_FOUND");
}

/// The days on which the law changed for everybody, and today.
const DAYS: [&str; 7] =
    ["2021-01-01", "2022-06-01", "2024-07-26", "2024-12-02", "2025-05-08", "2025-06-30", "2026-02-01"];

#[test]
fn every_pool_answers_for_every_day_with_sources_that_can_be_looked_up() {
    let server = Setup::memory().start();
    let files = gongji::policy::PolicyFiles::embedded();
    let line_of = |place: &str| {
        let (file, line) = place.rsplit_once(':').unwrap_or_else(|| panic!("{place} is no place"));
        let text = files.get(file).unwrap_or_else(|| panic!("{place}: no such file"));
        let line: usize = line.parse().expect("a number");
        text.lines().nth(line - 1).unwrap_or_else(|| panic!("{place}: no such line")).to_owned()
    };
    let book = book();
    let pools: Vec<String> =
        book.regions.iter().filter(|region| region.level.is_pool()).map(|region| region.code.to_string()).collect();
    let mut looked_up = std::collections::BTreeSet::new();
    for pool in &pools {
        for day in DAYS {
            let request = proto::GetPolicyRequest { region_code: pool.clone(), on: day.to_owned() };
            let region = book.regions.get(RegionCode::parse(pool).expect("a code")).expect("a region");
            if !region.is_valid_on(parse_day(day).expect("a day")) {
                assert_eq!(failed(server.get_policy(request)), "NotFound REGION_NOT_FOUND", "{pool} on {day}");
                continue;
            }
            let answer = server.get_policy(request).expect("a policy");
            let found = answer.policy.expect("set");
            assert_eq!(found.values.len(), gongji::domain::policy::Param::ALL.len(), "{pool} on {day}");
            assert!(answer.calculation_tables.len() > 30, "{pool} on {day}");
            let citations = [found.citations, answer.calculation_citations].concat();
            for value in found.values.iter().chain(&answer.calculation_tables) {
                let cited = citations.iter().find(|citation| citation.id == value.citation_id);
                let cited = cited.unwrap_or_else(|| panic!("{pool} {day} {}: no source", value.name));
                if looked_up.insert((value.place.clone(), cited.place.clone())) {
                    let entry = line_of(&value.place);
                    assert_eq!(entry.trim(), format!("[[{}]]", value.name), "{}", value.place);
                    let key = cited.id.rsplit('/').next().expect("a key");
                    assert!(line_of(&cited.place).contains(key), "{}: {}", cited.id, cited.place);
                }
            }
        }
    }
    println!("{} pools, {} days, {} places looked up", pools.len(), DAYS.len(), looked_up.len());
    assert!(pools.len() >= 350 && looked_up.len() > 100);
}
