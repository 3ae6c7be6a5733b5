//! `gongji reconcile` as a billing department runs it: the ledger's lines as a file, the file compared, differences found.

use std::fs;
use std::path::Path;
use std::process::Output;

use gongji::grpc::proto;
use gongji::grpc::proto::settlement_service_client::SettlementServiceClient;

use crate::process::{Server, ended, gongji, run, today};

pub const HOSPITAL: &str = "H44030001";

/// A demonstration with two bills settled, the second partly refunded; the server's day.
fn begun() -> (Server, String) {
    let server = Server::start(gongji(&["serve", "--demo"]));
    let day = run(async {
        let channel = server.channel().await;
        let day = today(channel.clone()).await;
        let mut client = SettlementServiceClient::new(channel);
        for (name, fen) in [("M-1", 12_605), ("M-2", 30_000)] {
            let settled = client.settle(settle(name, fen, &day)).await.expect("settled").into_inner();
            if name == "M-2" {
                let refund = proto::RefundSettlementRequest {
                    request_id: "M-3".to_owned(),
                    institution_code: HOSPITAL.to_owned(),
                    settlement_id: settled.settlement.expect("set").settlement_id,
                    what: Some(proto::refund_settlement_request::What::Whole(true)),
                    explanation_view: 0,
                };
                client.refund_settlement(refund).await.expect("refunded");
            }
        }
        day
    });
    (server, day)
}

pub fn settle(name: &str, fen: i64, day: &str) -> proto::SettleRequest {
    let refs = proto::ExternalRefs { msgid: name.to_owned(), ..Default::default() };
    let patient = proto::member_ref::Ref::IdNumber("440305195304120021".to_owned());
    let parts = proto::AdjudicatedBill { fund_fen: 2_605, person_part_fen: fen - 2_605, ..Default::default() };
    proto::SettleRequest {
        request_id: name.to_owned(),
        institution_code: HOSPITAL.to_owned(),
        patient: Some(proto::MemberRef { r#ref: Some(patient) }),
        visit: Some(proto::Visit {
            institution_kind: proto::InstitutionKind::Level3 as i32,
            care_region_code: "440300".to_owned(),
            purpose: proto::Purpose::Outpatient as i32,
            visit_date: day.to_owned(),
            external_refs: Some(refs),
        }),
        bill: Some(proto::Bill { total_fen: fen, lines: Vec::new(), adjudicated: Some(parts) }),
        ..Default::default()
    }
}

struct Desk<'a> {
    dir: &'a Path,
    connect: String,
    day: &'a str,
}

impl Desk<'_> {
    fn run(&self, task: &str, more: &[&str]) -> Output {
        let book = ["--connect", &self.connect, "--institution", HOSPITAL, "--from", self.day];
        let mut command = gongji(&[&["reconcile", task][..], &book, more].concat());
        command.current_dir(self.dir);
        ended(command)
    }

    /// What it said, and how it ended.
    #[track_caller]
    fn check(&self, task: &str, more: &[&str], code: i32, parts: &[&str]) -> String {
        let output = self.run(task, more);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("text");
        assert_eq!(output.status.code(), Some(code), "{said}");
        for part in parts {
            assert!(said.contains(part), "{part}\n{said}");
        }
        assert!(!said.contains("panicked"), "{said}");
        said
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join(name), text).expect("writes");
    }
}

#[test]
fn a_book_is_written_compared_and_its_faults_are_named() {
    let (server, day) = begun();
    let dir = tempfile::tempdir().expect("a folder");
    let desk = Desk { dir: dir.path(), connect: format!("http://{}", server.address), day: &day };
    desk.check("export", &["ours.txt"], 0, &[]);
    let text = fs::read_to_string(dir.path().join("ours.txt")).expect("written");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    let cells: Vec<Vec<&str>> = lines.iter().map(|line| line.split('\t').collect()).collect();
    assert_eq!(cells[0].len(), 15);
    assert!(cells.iter().all(|line| line.len() == cells[0].len()));
    let column = |name: &str| cells[0].iter().position(|column| *column == name).expect("a column");
    let of = |line: usize, name: &str| cells[line][column(name)];
    assert_eq!((of(1, "msgid"), of(1, "medfee_sumamt"), of(1, "refd_setl_flag")), ("M-1", "126.05", "0"));
    assert_eq!((of(3, "msgid"), of(3, "omsgid"), of(3, "medfee_sumamt")), ("M-3", "M-2", "-300.00"));
    assert_eq!((of(1, "psn_no"), of(1, "fund_pay_sumamt"), of(1, "setl_time")), ("null", "26.05", day.as_str()));
    desk.check("export", &["ours.txt"], 2, &["ours.txt: "]);

    desk.check("details", &["ours.txt"], 0, &["3 lines, 3 of the ledger", "3 agree, 0 differences"]);
    desk.check("totals", &["ours.txt"], 0, &["equal: ", "SETTLEMENT 2 (426.05), REFUND 1 (300.00)"]);
    desk.check("export", &["--mutual-aid", "beside", "beside.txt"], 0, &[]);
    desk.check("details", &["--mutual-aid", "beside", "beside.txt"], 0, &["3 agree"]);

    // Without names of columns: the ten of the national file, of another system's setl_id.
    let short = "p-1\tv-1\t9001\tM-1\tnull\t0\tnull\t126.05\t26.05\tnull\n\
                 p-1\tv-2\t9002\tM-2\tnull\t0\tnull\t300\t26.05\tnull\r\n\
                 p-1\tv-2\t9002\tM-3\tnull\t1\tnull\t-300.00\t-26.05\tnull";
    desk.write("short.txt", short);
    desk.check("details", &["short.txt"], 0, &["3 agree"]);
    desk.check("totals", &["short.txt"], 0, &["equal"]);
    // The refund under the message of its settlement.
    desk.write("one-message.txt", &short.replace("M-3", "M-2"));
    desk.check("details", &["one-message.txt"], 0, &["3 agree"]);

    // A refund not booked, a wrong amount, a line that nobody else has.
    let wrong = "msgid\trefd_setl_flag\tmedfee_sumamt\tfund_pay_sumamt\n\
                 M-1\t0\t126.05\t26.04\nM-2\t0\t300.00\tnull\nM-9\t0\t1.00\tnull\n";
    desk.write("wrong.txt", wrong);
    let parts =
        ["STATE", "请医院补记该笔退费。", "ONLY_THEIRS", "M-9", "（fund_fen 26.05 / 26.04）", "1 agree, 3 differences"];
    desk.check("details", &["--out", "found.txt", "wrong.txt"], 1, &parts);
    let found = fs::read_to_string(dir.path().join("found.txt")).expect("written");
    let found: Vec<Vec<&str>> = found.lines().map(|line| line.split('\t').collect()).collect();
    let result = |line: &Vec<&str>| [line[4], line[5], line[7], line[12], line[13]].join(" ");
    let expected = [
        "stmt_rslt refd_setl_flag medfee_sumamt side line",
        "AMOUNT 0 126.05 ledger null",
        "AMOUNT 0 126.05 book 2",
        "ONLY_THEIRS 0 1.00 book 4",
        "STATE 1 -300.00 ledger null",
    ];
    assert_eq!(found.iter().map(result).collect::<Vec<_>>(), expected);
    desk.check("details", &["--out", "found.txt", "wrong.txt"], 2, &["found.txt: "]);
    desk.check("totals", &["wrong.txt"], 1, &["count", "REFUND", "3", "different: "]);

    // A closed book: what came later is in flight.
    desk.write("empty.txt", "msgid\tmedfee_sumamt\n");
    let cut_off = format!("{day}T00:00:00+08:00");
    desk.check("details", &["--cut-off", &cut_off, "empty.txt"], 1, &["3 differences (IN_FLIGHT 3)"]);
}

#[test]
fn bad_lines_and_bad_words_are_told_and_end_with_2() {
    let (server, day) = begun();
    let dir = tempfile::tempdir().expect("a folder");
    let desk = Desk { dir: dir.path(), connect: format!("http://{}", server.address), day: &day };
    let bad = "msgid\trefd_setl_flag\tsetl_time\tmedfee_sumamt\tacct_pay\tacct_mulaid_pay\n\
               M-1\t2\t2026/11/22\t126.055\t1.00\t2.00\n\
               M-2\t0\tnull\t300.00\n\
               M-3\t1\tnull\t-300.00\t1.00\tnull\n\
               null\t0\tnull\t-1.00\tnull\tnull\n";
    desk.write("bad.txt", bad);
    let told = [
        "line 2: medfee_sumamt must be yuan with at most two decimals; refd_setl_flag must be 0, 1 or null; \
         acct_mulaid_pay is more than acct_pay; setl_time must begin with a day as YYYY-MM-DD",
        "line 3: has 4 cells, not 6",
        "line 4: amounts have different signs",
        "line 5: refd_setl_flag is 0 and an amount is negative",
    ];
    // What a bad line names is not told as missing.
    desk.check("details", &["bad.txt"], 2, &[&told[..], &["0 differences", "4 bad lines"]].concat());
    desk.check("totals", &["bad.txt"], 2, &[&told[..], &["4 bad lines; nothing was compared"]].concat());
    fs::write(dir.path().join("gbk.txt"), b"msgid\tmedfee_sumamt\n\xb1\xb1\t1\n").expect("writes");
    desk.check("details", &["gbk.txt"], 2, &["line 2: is not UTF-8"]);
    desk.write("long.txt", &format!("msgid\tmedfee_sumamt\n{}\t1\n", "x".repeat(70_000)));
    desk.check("details", &["long.txt"], 2, &["line 2: is longer than 65536 bytes"]);
    // A book that cannot be read to its end is not one that has ended: nothing is told of it, and no results are left. The
    // first message of lines is on its way when the reading fails.
    let good = "M-1\t126.05\n".repeat(2_500);
    desk.write("half.txt", &format!("msgid\tmedfee_sumamt\n{good}{}\t1\n", "x".repeat(70_000)));
    let said = desk.check("details", &["--out", "half.out", "half.txt"], 2, &["line 2502: is longer than 65536 bytes"]);
    assert!(!said.contains("agree") && !said.contains("ONLY_"), "{said}");
    let left = fs::read_dir(dir.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("half.out")).collect();
    assert!(left.is_empty(), "{left:?}");
    desk.check("details", &["none.txt"], 2, &["none.txt: "]);
    desk.check("details", &["--cut-off", "noon", "bad.txt"], 2, &["--cut-off: "]);
    desk.check("details", &["--to", "2020-01-01", "gbk.txt"], 2, &["INVALID_FIELDS", "last_day"]);
    desk.check("totals", &["--to", "soon", "gbk.txt"], 2, &["--to: must be a day"]);
    let nobody = Desk { connect: "http://127.0.0.1:1".to_owned(), ..desk };
    nobody.check("export", &[], 2, &["no server answers at http://127.0.0.1:1"]);
}
