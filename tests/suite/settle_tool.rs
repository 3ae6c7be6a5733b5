//! `gongji settle` as a cashier's helper runs it: a settlement explained, a lost answer resolved.

use gongji::grpc::proto;
use gongji::grpc::proto::settlement_service_client::SettlementServiceClient;

use super::process::{Server, ended, gongji, run, today};
use super::reconcile::{HOSPITAL, settle};

#[track_caller]
fn check(connect: &str, words: &[&str], ends_well: bool, parts: &[&str]) {
    let output = ended(gongji(&[&["settle", "--connect", connect][..], words].concat()));
    let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
    assert_eq!(output.status.success(), ends_well, "{said}");
    for part in parts {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

#[test]
fn a_settlement_is_explained_and_a_lost_answer_is_resolved() {
    let server = Server::start(gongji(&["serve", "--demo"]));
    let made = |name: &str, patient: &str, purpose: proto::Purpose| {
        run(async {
            let channel = server.channel().await;
            let mut request = settle(name, 12_605, &today(channel.clone()).await);
            let patient = proto::member_ref::Ref::IdNumber(patient.to_owned());
            request.patient = Some(proto::MemberRef { r#ref: Some(patient) });
            request.visit.as_mut().expect("set").purpose = purpose as i32;
            let settled = SettlementServiceClient::new(channel).settle(request).await;
            settled.expect("settled").into_inner().settlement.expect("set")
        })
    };
    let settlement = made("M-1", "440305195304120021", proto::Purpose::Outpatient);
    assert_eq!(settlement.state(), proto::SettlementState::Confirmed);
    let (connect, id) = (format!("http://{}", server.address), settlement.settlement_id);
    check(
        &connect,
        &["explain", &id],
        true,
        &[&id, "CONFIRMED", "总费用 12605", "[draw.cash]", "依据", "政策版本 440300"],
    );
    // Of somebody with money in an account of her own.
    let sport = made("M-2", "440305197809150030", proto::Purpose::SportFitness).settlement_id;
    check(&connect, &["explain", &sport], true, &["不支付 本人 "]);
    let resolve = |original, more: &[&str], ends_well, parts: &[&str]| {
        let words = ["resolve", "--institution", HOSPITAL, "--request", "v-1", original];
        check(&connect, &[&words[..], more].concat(), ends_well, parts);
    };
    resolve("M-1", &[], true, &["APPLIED", "SETTLE", &id]);
    resolve("M-9", &[], true, &["NOT_APPLIED"]);
    resolve("M-9", &["--fence"], true, &["M-9  FENCED"]);
    resolve("M-1", &["--reverse"], false, &["REQUEST_ID_REUSED"]);
    check(&connect, &["explain", "stl_1"], false, &["INVALID_FIELDS", "settlement_id"]);
    check("http://127.0.0.1:1", &["explain", &id], false, &["no server answers at"]);
}
