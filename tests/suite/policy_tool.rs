//! `gongji policy …` as people run it, and what a server says of its policies at the start.

use std::fs;
use std::path::Path;

use gongji::grpc::proto;
use gongji::grpc::proto::server_service_client::ServerServiceClient;
use gongji::grpc::proto::settlement_service_client::SettlementServiceClient;
use gongji::policy::PolicyFiles;
use tonic_types::StatusExt;

use crate::process::{Server, ended, gongji, run};

/// Standard output of a command that ends well.
fn said(args: &[&str]) -> String {
    let output = ended(gongji(args));
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The policy files in a folder, one of them changed.
fn changed(folder: &Path, file: &str, from: &str, to: &str) -> String {
    for (name, text) in PolicyFiles::embedded().0 {
        let path = folder.join(&name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let text = if name == file {
            assert!(text.contains(from), "{file} has no {from}");
            text.replacen(from, to, 1)
        } else {
            text
        };
        fs::write(path, text).expect("written");
    }
    folder.display().to_string()
}

#[test]
fn policies_are_checked_tested_shown_and_compared() {
    assert!(said(&["policy", "check", "--strict"]).ends_with("nothing is wrong\n"));
    let tested = said(&["policy", "test", "--folder", "440300-shenzhen"]);
    assert!(tested.contains("W-93: a balance of 4200.01 gives one fen") && tested.contains(", 0 failed;"), "{tested}");
    let page = said(&["policy", "show", "深圳", "--on", "2024-03-01"]);
    assert!(
        page.contains("共济人须保留余额：固定金额 0.00 元") && page.contains("relations: spouse, parent, child"),
        "{page}"
    );
    let page = said(&["policy", "show", "北京", "--on", "2025-08-01", "--lang", "en"]);
    for wanted in [
        "Calculation tables\n",
        "contribution_rates (social-insurance rates): [",
        "110000-beijing/contribution.toml:",
        "national/pension.toml:",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    let told = said(&["policy", "diff", "440300", "--from", "2024-10-31", "--to", "2024-11-01", "--lang", "en"]);
    assert!(told.contains("2024-11-01\n") && told.contains("relations: added maternal grandchild"), "{told}");
    let same = said(&["policy", "diff", "440300", "--from", "2024-11-02", "--to", "2024-11-03", "--lang", "zh"]);
    assert!(same.contains("没有变化。"), "{same}");
    for (args, wanted) in [
        (&["policy", "show", "999999", "--on", "2024-03-01"][..], "999999 is no pooling region"),
        (&["policy", "show", "440300", "--on", "1990-01-01"], "no law is recorded"),
        (&["policy", "show", "440300", "--on", "2024-13-01"], "must be a day"),
        (&["policy", "diff", "440300", "--from", "2024-11-02", "--to", "2024-11-02"], "--to must be a later day"),
    ] {
        let output = ended(gongji(args));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(wanted), "{args:?}: {error}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let policies = changed(folder.path(), "120000-tianjin/policy.toml", "value = 6", "value = 0");
    let output = ended(gongji(&["policy", "check", "--policies", &policies]));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("120000-tianjin/policy.toml:14: members_per_owner[0].value must be a number from 1"),
        "{error}"
    );
    let policies = changed(folder.path(), "120000-tianjin/policy.toml", "value = 6", "value = 5");
    let output = ended(gongji(&["policy", "test", "--failed", "--policies", &policies]));
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && table.contains("FAIL  120000-tianjin/examples.toml"), "{table}");
}

fn bill(request: &str) -> proto::SettleRequest {
    proto::SettleRequest {
        request_id: request.to_owned(),
        institution_code: "H001".to_owned(),
        patient: Some(proto::MemberRef { r#ref: Some(proto::member_ref::Ref::CardNumber("SZ-CARD-1001".to_owned())) }),
        visit: Some(proto::Visit {
            institution_kind: proto::InstitutionKind::Level3.into(),
            care_region_code: "440300".to_owned(),
            purpose: proto::Purpose::Outpatient.into(),
            visit_date: "2025-06-03".to_owned(),
            ..Default::default()
        }),
        bill: Some(proto::Bill {
            total_fen: 5_000,
            adjudicated: Some(proto::AdjudicatedBill { fund_fen: 1_000, person_part_fen: 4_000, ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

const CLOCK: [&str; 4] = ["serve", "--demo", "--clock", "2025-06-03T09:00:00+08:00"];

#[test]
fn a_draft_is_tried_on_what_was_settled_and_a_start_says_what_is_other() {
    let data = tempfile::tempdir().expect("a folder");
    let dir = data.path().join("data").display().to_string();
    let server = Server::start(gongji(&[&CLOCK[..], &["--data-dir", &dir]].concat()));
    let paid = run(async {
        let mut client = SettlementServiceClient::new(server.channel().await);
        for number in 0..3 {
            client.settle(bill(&format!("w-{number}"))).await.expect("settled");
        }
        let settled = client.settle(bill("w-3")).await.expect("settled").into_inner();
        settled.settlement.expect("set").amounts.expect("set").mutual_aid_fen
    });
    assert_eq!(paid, 4_000);
    server.terminate();

    let folder = data.path().join("policies");
    let eight = "start = 2024-11-01\nvalue = [\"SPOUSE\", \"PARENT\", ";
    let none = "start = 2024-11-01\nvalue = [";
    let policies = changed(&folder, "440300-shenzhen/policy.toml", eight, none);
    let draft = folder.join("440300-shenzhen/policy.toml").display().to_string();
    let report = said(&["policy", "whatif", &draft, "--data-dir", &dir]);
    for wanted in [
        "4 settlements; 4 could be decided again, 0 could not",
        "4 of them come out otherwise",
        "深圳市 440300: 4 changed; 4 pay more cash, 0 less",
        "relatives: -160.00 yuan",
        "cash: +160.00 yuan",
        "paid for a parent (父母): -160.00 yuan over 4 settlements",
        "draw.excluded RELATION_NOT_ALLOWED (4)",
    ] {
        assert!(report.contains(wanted), "{wanted} is not in\n{report}");
    }
    let nothing = said(&["policy", "whatif", &draft, "--data-dir", &dir, "--to", "2025-06-02"]);
    assert!(nothing.contains("0 settlements; "), "{nothing}");

    // The same data under the changed set: the start names the revisions that differ.
    let told = |policies: &str| {
        let more = if policies.is_empty() { &[][..] } else { &["--policies", policies] };
        let server = Server::start(gongji(&[&["serve", "--data-dir", &dir][..], more].concat()));
        let info = run(async {
            let mut client = ServerServiceClient::new(server.channel().await);
            client.get_server_info(proto::GetServerInfoRequest {}).await.expect("told").into_inner()
        });
        let log = server.kill();
        (info.policy_differences, log)
    };
    let (differences, log) = told(&policies);
    assert!(differences.iter().any(|line| line == "440300-shenzhen from 2024-11-01 is changed"), "{differences:?}");
    assert!(differences.iter().all(|line| line.starts_with("440300-shenzhen from ")), "{differences:?}");
    assert!(log.contains("440300-shenzhen from 2024-11-01 is changed"), "{log}");
    assert_eq!(told("").0, Vec::<String>::new(), "the set they were written under");
}

#[test]
fn a_server_refuses_to_decide_on_grades_it_was_told_to() {
    let data = tempfile::tempdir().expect("a folder");
    let dir = data.path().display().to_string();
    let server = Server::start(gongji(&[&CLOCK[..], &["--refuse-grade", "demo", "--data-dir", &dir]].concat()));
    run(async {
        let mut client = SettlementServiceClient::new(server.channel().await);
        client.settle(bill("fine")).await.expect("nothing of Shenzhen is invented");
    });
    server.terminate();
    let server = Server::start(gongji(&["serve", "--refuse-grade", "unverified,demo", "--data-dir", &dir]));
    run(async {
        let mut client = SettlementServiceClient::new(server.channel().await);
        let refused = client.settle(bill("refused")).await.expect_err("some values are not verified");
        let info = refused.get_details_error_info().expect("details");
        assert_eq!((refused.code(), info.reason.as_str()), (tonic::Code::FailedPrecondition, "GRADE_REFUSED"));
        let named = &info.metadata["refused_parameters"];
        assert!(named.contains("440300/relative_components UNVERIFIED"), "{named}");
        let quoted = bill("quote");
        let quote = proto::QuoteSettlementRequest {
            institution_code: quoted.institution_code,
            patient: quoted.patient,
            visit: quoted.visit,
            bill: quoted.bill,
            ..Default::default()
        };
        assert!(client.quote_settlement(quote).await.is_err(), "a quote is a decision, too");
        let info =
            ServerServiceClient::new(server.channel().await).get_server_info(proto::GetServerInfoRequest {}).await;
        let grades = info.expect("told").into_inner().refused_grades;
        assert_eq!(grades, [proto::Grade::Unverified as i32, proto::Grade::Demo as i32]);
    });
    server.kill();
}

/// What a quota, a paper slip and a limit by pair paid is decided again, too: under a draft that changes nothing all comes out
/// the same, and under one that does the difference is told.
#[test]
fn a_draft_is_tried_on_quotas_slips_and_limits() {
    use crate::support::{Setup, by_id, evidence, filing, settle};
    let mut server = Setup::embedded().start();
    let at = |request: &str, patient: &str, fen: i64, region: &str| {
        let mut request = settle(request, patient, fen);
        let visit = request.visit.as_mut().expect("set");
        visit.care_region_code = region.to_owned();
        visit.visit_date = String::new();
        request
    };
    // A relative on paper, twice, in old Shenzhen.
    server.clock().set("2023-03-01T09:00:00+08:00");
    let (owner, patient) = (server.member(1, "440300", 600_000), server.member(2, "440300", 0));
    for request in ["paper-1", "paper-2"] {
        let mut bill = at(request, &patient, 1_000, "440300");
        bill.paper_authorisations = vec![proto::PaperAuthorisation {
            owner: by_id(&owner),
            user_card: "CARD-2".to_owned(),
            relation: proto::Relation::Parent.into(),
            phone: "13800000000".to_owned(),
            signature_ref: "s".to_owned(),
        }];
        let paid = server.settle(bill).expect("settled").settlement.expect("set");
        assert_eq!(paid.contributions[0].mode(), proto::Mode::DirectDraw);
        assert!(paid.contributions[0].paper);
    }
    // A pair whose region counts what was used.
    server.clock().set("2024-03-01T09:00:00+08:00");
    let (owner, patient) = (server.member(3, "980300", 600_000), server.member(4, "980300", 0));
    server.bind(&owner, &patient);
    for request in ["limit-1", "limit-2"] {
        server.settle(at(request, &patient, 20_000, "980300")).expect("settled");
    }
    // Two owners, of whom the one with more pays first.
    let patient = server.member(9, "440300", 0);
    for (number, fen) in [(7, 10_000), (8, 20_000)] {
        server.bind(&server.member(number, "440300", fen), &patient);
        server.clock().add_seconds(1);
    }
    server.settle(at("order-1", &patient, 25_000, "440300")).expect("settled");
    // A quota between two provinces.
    server.clock().set("2026-02-02T09:00:00+08:00");
    let (owner, patient) = (server.member(5, "622900", 100_000), server.member(6, "510100", 0));
    let binding = server.create_binding(filing("far", &owner, &patient)).expect("filed").binding.expect("set");
    let quota = proto::SetQuotaRequest {
        request_id: "quota".to_owned(),
        binding_id: binding.binding_id,
        quota_fen: 5_000,
        evidence: ["OWNER_CONSENT", "BENEFICIARY_CONSENT"].map(evidence).to_vec(),
        ..Default::default()
    };
    server.set_quota(quota).expect("set aside");
    for request in ["quota-1", "quota-2", "quota-3"] {
        let paid = server.settle(at(request, &patient, 3_000, "510100")).expect("settled").settlement.expect("set");
        assert!(paid.contributions.iter().all(|paid| paid.mode() == proto::Mode::Quota));
    }
    let data = server.stop().display().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let file = "980300-demo-outpatient/policy.toml";
    let same = changed(folder.path(), file, "schema = 1", "schema = 1");
    let report = said(&["policy", "whatif", &format!("{same}/{file}"), "--data-dir", &data]);
    assert!(report.contains("8 settlements; 8 could be decided again, 0 could not"), "{report}");
    assert!(report.contains("0 of them come out otherwise"), "{report}");
    let day = "value = 30000\nsource = \"demo-figures\"\nknown_from = 2026-11-22\nnote = \"300 yuan a day";
    let wider = changed(folder.path(), file, day, &day.replace("30000", "40000"));
    let report = said(&["policy", "whatif", &format!("{wider}/{file}"), "--data-dir", &data]);
    assert!(report.contains("1 of them come out otherwise") && report.contains("relatives: +100.00 yuan"), "{report}");
    let file = "440300-shenzhen/policy.toml";
    let filed = changed(folder.path(), file, "value = \"BALANCE_DESC\"", "value = \"FILING_ORDER\"");
    let report = said(&["policy", "whatif", &format!("{filed}/{file}"), "--data-dir", &data]);
    assert!(report.contains("1 of them come out otherwise"), "{report}");
    assert!(report.contains("draw.owner_order (owner_order) (1)"), "{report}");
}
