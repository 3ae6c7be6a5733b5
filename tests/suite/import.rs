//! `gongji import` as a bureau runs it: files of people and credits, bad rows told, and a run that is killed and goes on.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value as Json;

use super::process::{Server, check_ledger, ended, gongji, id_number, run, wait_until};

struct Desk<'a> {
    dir: &'a Path,
    connect: String,
}

impl<'a> Desk<'a> {
    fn at(dir: &'a Path, server: &Server) -> Self {
        Self { dir, connect: format!("http://{}", server.address) }
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = gongji(&[&["import"], args, &["--connect", self.connect.as_str()]].concat());
        command.current_dir(self.dir);
        command
    }

    /// What it said, and how it ended.
    #[track_caller]
    fn check(&self, args: &[&str], code: i32, parts: &[&str]) -> String {
        let Output { status, stdout, stderr } = ended(self.command(args));
        let said = String::from_utf8([stdout, stderr].concat()).expect("text");
        assert_eq!(status.code(), Some(code), "{said}");
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
        }
        said
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join(name), text).expect("written");
    }

    fn results(&self, name: &str) -> Vec<Json> {
        let text = fs::read_to_string(self.dir.join(name)).expect("results");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

const PEOPLE: &str = "name,id_number,insurance.scheme,insurance.tier,insurance.state,insurance.region_code,\
                      insurance.has_account,insurance.start_date\n";

fn people(count: usize) -> String {
    let row = |number: usize| {
        let id = id_number(number);
        format!("张{number},{id},SCHEME_EMPLOYEE,1,INSURANCE_STATE_NORMAL,440300,true,2020-01-01\n")
    };
    PEOPLE.to_owned() + &(0..count).map(row).collect::<String>()
}

fn done(result: &Json) -> bool {
    result["member_id"].as_str().is_some_and(|id| id.starts_with("mem_")) && result["error"].is_null()
}

#[test]
fn people_and_their_money_are_imported_and_every_bad_row_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Server::on(&dir.path().join("data"), &[]);
    let desk = Desk::at(dir.path(), &server);
    let mut table = people(5);
    // A row of another shape, one that says what cannot be, one of a person who is there, one that the rules of a row refuse.
    let other_scheme = people(6).lines().last().expect("a row").replace("EMPLOYEE", "4403051975");
    let twice = people(1).lines().last().expect("a row").replace("张0", "李零");
    let bad_id = people(7).lines().last().expect("a row").replace(&id_number(6), "440305197501010000");
    table.push_str(&format!("赵,1\n{other_scheme}\n{twice}\n{bad_id}\n"));
    desk.write("people.csv", &table);
    let asked = ["members", "people.csv", "--out", "people.jsonl", "--batch", "first", "--summary", "sum.json"];
    let parts = [
        "9 rows: 5 imported, 0 there before, 4 refused",
        "MALFORMED_MESSAGE: 2",
        "MEMBER_ALREADY_EXISTS: 1",
        "INVALID_FIELDS: 1",
        "line 7: MALFORMED_MESSAGE",
        "has 2 cells, not 8",
        "insurance.scheme must be one of `SCHEME_UNSPECIFIED`",
        "line 9: MEMBER_ALREADY_EXISTS",
        "line 10: INVALID_FIELDS",
        "id_number has a wrong check character",
    ];
    let said = desk.check(&asked, 1, &parts);
    assert!(!said.contains("4403051975") && !said.contains("李零"), "nobody's number or name is told: {said}");
    let results = desk.results("people.jsonl");
    let lines: Vec<u64> = results.iter().map(|result| result["line"].as_u64().expect("a line")).collect();
    assert_eq!(lines, (2..=10).collect::<Vec<_>>());
    assert_eq!(
        results.iter().map(done).collect::<Vec<_>>(),
        [true, true, true, true, true, false, false, false, false]
    );
    assert_eq!(results[8]["error"]["fields"][0]["field"], "id_number");
    let sum: Json = serde_json::from_slice(&fs::read(dir.path().join("sum.json")).expect("a summary")).expect("JSON");
    assert_eq!((&sum["imported"], &sum["refused"]["INVALID_FIELDS"]), (&Json::from(5), &Json::from(1)));
    assert!(!dir.path().join("people.jsonl.progress").exists(), "a whole run leaves no note");

    // A quotation mark that is not closed costs its own row, not those behind it.
    let rows: Vec<String> = people(14).lines().skip(10).map(str::to_owned).collect();
    desk.write("open.csv", &format!("{PEOPLE}{}\n\"{}\n{}\n{}\n", rows[0], rows[1], rows[2], rows[3]));
    let parts = ["4 rows: 3 imported, 0 there before, 1 refused", "line 3: MALFORMED_MESSAGE", "quotation mark"];
    desk.check(&["members", "open.csv", "--out", "open.jsonl", "--batch", "open"], 1, &parts);
    let lines: Vec<u64> = desk.results("open.jsonl").iter().map(|row| row["line"].as_u64().expect("a line")).collect();
    assert_eq!(lines, [2, 3, 4, 5]);

    // Credits as JSON lines and as a table with tabs; a number as text and as a number, null for what is empty.
    let of = |place: usize| results[place]["member_id"].as_str().expect("an id").to_owned();
    desk.write(
        "credits.jsonl",
        &format!(
            "{{\"request_id\":\"mine\",\"member\":{{\"member_id\":\"{}\"}},\"bucket\":\"BUCKET_PRIOR_YEARS\",\
             \"amount_fen\":700,\"kind\":\"CREDIT_KIND_MONTHLY\"}}\n\n\
             {{\"member\":{{\"idNumber\":\"{}\"}},\"bucket\":2,\"amountFen\":\"300\",\"kind\":1,\"note_ref\":\"n\"}}\n",
            of(0),
            id_number(1),
        ),
    );
    let parts = ["2 rows: 2 imported, 0 there before, 0 refused", "sum of amount_fen imported: 1000"];
    desk.check(&["credits", "credits.jsonl", "--out", "c-1.jsonl", "--batch", "c"], 0, &parts);
    let told = desk.results("c-1.jsonl");
    assert_eq!((&told[0]["request_id"], &told[0]["line"], &told[1]["line"]), (&"mine".into(), &1.into(), &3.into()));
    assert_eq!([&told[0]["member_id"], &told[1]["member_id"]], [&results[0]["member_id"], &results[1]["member_id"]]);
    let row = |id: &str| format!("null\t{id}\tBUCKET_PRIOR_YEARS\t300\tCREDIT_KIND_MONTHLY\tn\r\n");
    let tabs =
        ["member.card_number\tmember.id_number\tbucket\tamount_fen\tkind\tnote_ref\r\n", &row(&id_number(1))].concat();
    desk.write("credits.txt", &tabs);
    // The same content in the same batch is the same row, whatever the file looks like; in another one it is not.
    let credits = |out: &str, batch: &str, code: i32, part: &str| {
        desk.check(&["credits", "credits.txt", "--out", out, "--batch", batch], code, &[part]);
    };
    credits(
        "c-2.jsonl",
        "c",
        0,
        "1 rows: 0 imported, 1 there before, 0 refused\n  sum of amount_fen there before: 300\n",
    );
    credits("c-3.jsonl", "d", 0, "1 rows: 1 imported, 0 there before, 0 refused");

    // What cannot begin says why, and leaves nothing.
    desk.write("wrong.csv", "name,nam\n张,1\n");
    desk.check(&["members", "wrong.csv", "--out", "w.jsonl"], 2, &["column 2 of the first line is no field of a row"]);
    desk.check(&["members", "people.csv", "--out", "people.jsonl"], 2, &["is there already"]);
    desk.check(&["members", "people.doc", "--out", "w.jsonl"], 2, &["people.doc"]);
    desk.check(&["members", "people.csv", "--out", "w.jsonl", "--resume"], 2, &["there is no run to go on with"]);
    assert!(!dir.path().join("w.jsonl").exists());
    desk.check(&["members", "people.csv", "--out", "w.jsonl"], 1, &["request_id is required, unless --batch names"]);
    let nobody = ["import", "members", "people.csv", "--out", "x.jsonl", "--connect", "http://127.0.0.1:1"];
    let output = ended({
        let mut command = gongji(&nobody);
        command.current_dir(dir.path());
        command
    });
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no server answers at"));
    run(async { check_ledger(server.channel().await).await });
}

/// The run is killed as soon as its note tells of rows, and goes on: each person is there once, and the results tell every row
/// in order.
#[test]
fn a_killed_import_goes_on_and_every_row_has_one_effect() {
    const ROWS: usize = 3_000;
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let server = Server::on(&data, &[]);
    let desk = Desk::at(dir.path(), &server);
    desk.write("people.csv", &people(ROWS));
    let asked = ["members", "people.csv", "--out", "out.jsonl", "--batch", "b", "--call-rows", "40"];
    let mut child = desk.command(&asked).spawn().expect("the program runs");
    let note = dir.path().join("out.jsonl.progress");
    wait_until("a note of rows", super::process::PATIENCE, || {
        let told: Json = serde_json::from_str(&fs::read_to_string(&note).ok()?).ok()?;
        told["summary"]["rows"].as_u64().filter(|rows| *rows > 0)
    });
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    assert!(note.exists(), "the run was stopped half-way");
    desk.check(&asked, 2, &["--resume goes on"]);
    let other = ["members", "people.csv", "--out", "out.jsonl", "--batch", "c", "--resume"];
    desk.check(&other, 2, &["is another"]);
    let again = [&asked[..], &["--resume"]].concat();
    let elsewhere = Server::on(&dir.path().join("other"), &[]);
    Desk::at(dir.path(), &elsewhere).check(&again, 2, &["is another"]);
    assert_eq!(
        run(async { check_ledger(elsewhere.channel().await).await }).records_checked,
        0,
        "other data, other run"
    );
    let said = desk.check(&again, 0, &[&format!("{ROWS} rows: "), " 0 refused"]);
    let results = desk.results("out.jsonl");
    let lines: Vec<u64> = results.iter().map(|result| result["line"].as_u64().expect("a line")).collect();
    assert_eq!(lines, (2..2 + ROWS as u64).collect::<Vec<_>>(), "{said}");
    assert!(results.iter().all(done));
    let records = run(async { check_ledger(server.channel().await).await }).records_checked;
    assert_eq!(records, ROWS as i64, "each has one effect");
    // All of it once more, in other calls and without a note: nothing is done twice.
    let whole = ["members", "people.csv", "--out", "again.jsonl", "--batch", "b"];
    desk.check(&whole, 0, &[&format!("{ROWS} rows: 0 imported, {ROWS} there before, 0 refused")]);
    let records = run(async { check_ledger(server.channel().await).await }).records_checked;
    assert_eq!(records, ROWS as i64);
    let people = |results: &[Json]| results.iter().map(|result| result["member_id"].clone()).collect::<Vec<_>>();
    assert_eq!(people(&desk.results("again.jsonl")), people(&results));
}
