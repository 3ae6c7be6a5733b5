//! `gongji calc` as people run it: one object, files, a run that was stopped.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;

fn calc(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gongji"));
    command.arg("calc").args(arguments).current_dir(dir).output().expect("the program runs")
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What is said at the end of a file with rows that have no result.
fn partly(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 rows have no result"));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).expect("text")
}

const SEVEN_THOUSAND: &str =
    r#"{"region_code":"440300","on":"2015-06-01","wage_fen":700000,"average_wage_fen":"700000"}"#;

#[test]
fn one_object_is_answered_and_explained_in_both_languages() {
    let dir = tempfile::tempdir().expect("a folder");
    let found: Json = serde_json::from_str(&said(&calc(dir.path(), &["contribution", SEVEN_THOUSAND]))).expect("JSON");
    assert_eq!(
        (found["person_total_fen"].as_str(), found["unit_total_fen"].as_str()),
        (Some("147000"), Some("294000"))
    );
    assert_eq!(found["net_wage_fen"], "553000");
    // Each line of the published table, with source and grade.
    let zh = said(&calc(dir.path(), &["contribution", SEVEN_THOUSAND, "--explain"]));
    for line in [
        "700000 × 0.08",
        "56000 分 (560.00 元)",
        "个人缴费合计",
        "147000 分 (1470.00 元)",
        "自 1998-12-14",
        "UNVERIFIED",
        "工资减个人缴费",
    ] {
        assert!(zh.contains(line), "{line}\n{zh}");
    }
    let en = said(&calc(dir.path(), &["contribution", SEVEN_THOUSAND, "--explain", "en"]));
    for line in
        ["the unit's parts in sum", "294000 fen (2940.00 yuan)", "wage minus own contributions", "700000 − 147000"]
    {
        assert!(en.contains(line), "{line}\n{en}");
    }
    let wrong = refused(&calc(dir.path(), &["contribution", r#"{"region_code":"1","wage_fen":-1}"#]));
    assert!(wrong.contains("INVALID_FIELDS") && wrong.contains("region_code") && wrong.contains("wage_fen"), "{wrong}");
    let unknown = refused(&calc(dir.path(), &["contribution", r#"{"wage":1}"#]));
    assert!(unknown.contains("unknown field"), "{unknown}");
    let unset = refused(&calc(dir.path(), &["contribution", r#"{"region_code":"440300","wage_fen":1}"#]));
    assert!(unset.contains("VALUE_NOT_KNOWN") && unset.contains("average_wage"), "{unset}");
}

/// Wages of a file, the third of which is no number.
fn staff(rows: usize) -> String {
    let mut text = "item_id,wage_fen,injury_class\n".to_owned();
    for row in 0..rows {
        let wage = if row == 2 { "much".to_owned() } else { (500_000 + row * 10).to_string() };
        text.push_str(&format!("p{row},{wage},{}\n", row % 8 + 1));
    }
    text
}

const SHANGHAI: [&str; 4] = ["--region", "310000", "--on", "2025-08-01"];

fn run_file(dir: &Path, input: &str, out: &str, more: &[&str]) -> Output {
    calc(dir, &[&["contribution", input, "--out", out], &SHANGHAI[..], more].concat())
}

#[test]
fn a_file_is_answered_row_by_row_in_order() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path();
    fs::write(path.join("staff.csv"), staff(20_000)).expect("written");
    let output = run_file(path, "staff.csv", "out.jsonl", &["--summary", "sum.json"]);
    let summary = partly(&output);
    // The first line names the columns.
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 4: MALFORMED_MESSAGE: "), "{output:?}");
    assert!(summary.starts_with("20000 rows, 19999 results, 1 errors\n  MALFORMED_MESSAGE: 1\n"), "{summary}");
    let results = fs::read_to_string(path.join("out.jsonl")).expect("results");
    let (mut total, mut count) = (0_i64, 0);
    for (row, line) in results.lines().enumerate() {
        let found: Json = serde_json::from_str(line).expect("JSON");
        assert_eq!(found["item_id"], format!("p{row}"));
        assert_eq!(found["error"].is_object(), row == 2, "{line}");
        total += found["contribution"]["person_total_fen"].as_str().map_or(0, |fen| fen.parse().expect("fen"));
        count += 1;
    }
    assert_eq!(count, 20_000);
    let sums: Json = serde_json::from_slice(&fs::read(path.join("sum.json")).expect("a summary")).expect("JSON");
    assert_eq!(sums["sums_fen"]["person_total_fen"], total.to_string());
    assert!(!path.join("out.jsonl.progress").exists(), "a whole run leaves no note");
    // The same as JSON lines, on one thread.
    let lines: String = staff(20_000)
        .lines()
        .skip(1)
        .map(|row| {
            let cells: Vec<&str> = row.split(',').collect();
            format!("{{\"item_id\":\"{}\",\"wage_fen\":\"{}\",\"injury_class\":{}}}\n", cells[0], cells[1], cells[2])
        })
        .collect();
    fs::write(path.join("staff.jsonl"), lines).expect("written");
    let output = run_file(path, "staff.jsonl", "lines.jsonl", &["--threads", "1"]);
    partly(&output);
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 3: MALFORMED_MESSAGE: "), "{output:?}");
    let of_lines = fs::read_to_string(path.join("lines.jsonl")).expect("results");
    let without_error =
        |text: &str| text.lines().filter(|line| !line.contains("\"error\"")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(without_error(&of_lines), without_error(&results));
    // What is there is not written over.
    assert!(refused(&run_file(path, "staff.csv", "out.jsonl", &[])).contains("is there already"));
    assert!(refused(&run_file(path, "staff.txt", "x.jsonl", &[])).contains("staff.txt"));
    assert!(refused(&calc(path, &["contribution", "staff.csv"])).contains("--out"));
}

/// The first hundred are printed, and the results have all.
#[test]
fn rows_without_a_result_are_printed_by_their_lines_up_to_a_bound() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path();
    for (rows, printed) in [(100, 100), (101, 100)] {
        let file = format!("{rows}.csv");
        fs::write(path.join(&file), format!("wage_fen\n{}", "x\n".repeat(rows))).expect("written");
        let output = run_file(path, &file, &format!("{rows}.jsonl"), &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("line ")?.split(':').next()).collect();
        let expected: Vec<String> = (0..printed).map(|row| (row + 2).to_string()).collect();
        assert_eq!(lines, expected, "{said}");
        let results = fs::read_to_string(path.join(format!("{rows}.jsonl"))).expect("results");
        assert_eq!(results.lines().count(), rows);
        assert!(said.contains(&format!("{rows} rows have no result; {rows}.jsonl says why")), "{said}");
    }
}

/// A run stopped at any point: its results and note as they stood, and what was written after the note. Going on gives the
/// results of a run that was never stopped.
#[test]
fn a_run_that_was_stopped_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path();
    fs::write(path.join("staff.csv"), staff(120_000)).expect("written");
    partly(&run_file(path, "staff.csv", "whole.jsonl", &["--threads", "2"]));
    let whole = fs::read_to_string(path.join("whole.jsonl")).expect("results");
    let mut child = Command::new(env!("CARGO_BIN_EXE_gongji"))
        .args(["calc", "contribution", "staff.csv", "--out", "part.jsonl", "--threads", "2"])
        .args(SHANGHAI)
        .current_dir(path)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program runs");
    let note = path.join("part.jsonl.progress");
    // Killed as soon as a note tells of rows; a run that is done before that leaves no note.
    loop {
        let told = fs::read_to_string(&note).unwrap_or_default();
        if !told.is_empty() && !told.contains("\"byte\":0,") {
            break;
        }
        if child.try_wait().expect("asked").is_some() {
            break;
        }
        std::thread::yield_now();
    }
    let _ = child.kill();
    child.wait().expect("it ended");
    assert!(note.exists(), "the run was stopped half-way");
    assert!(refused(&run_file(path, "staff.csv", "part.jsonl", &[])).contains("--resume"));
    let other = calc(path, &["contribution", "staff.csv", "--out", "part.jsonl", "--resume", "--region", "110000"]);
    assert!(refused(&other).contains("another"));
    let summary = partly(&run_file(path, "staff.csv", "part.jsonl", &["--resume"]));
    assert!(summary.starts_with("120000 rows, 119999 results, 1 errors"), "{summary}");
    assert!(fs::read_to_string(path.join("part.jsonl")).expect("results") == whole, "the results differ");
}
