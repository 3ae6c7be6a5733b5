//! The bench runs and every reply is right; how fast is nobody's business here.

use std::process::Command;

#[test]
fn a_quick_bench_has_every_reply_right() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let json = dir.path().join("bench.json");
    let output = Command::new(env!("CARGO_BIN_EXE_gongji"))
        .args(["bench", "--quick", "--seconds", "0.3", "--dir"])
        .arg(dir.path())
        .arg("--json")
        .arg(&json)
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&json).expect("figures were written");
    let report: serde_json::Value = serde_json::from_str(&text).expect("they are JSON");
    assert_eq!(report["ok"], true, "{text}");
    let rows = report["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 19, "five methods at three concurrencies, two of many at two");
    for row in rows {
        assert_eq!(row["failed"], 0, "{row}");
        assert!(row["calls"].as_u64() > Some(0), "{row}");
        assert!(row["aided_share"].as_f64() >= Some(0.95), "{row}");
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).expect("the folder").flatten().map(|entry| entry.path()).collect();
    assert_eq!(left, [json], "what was made is removed");
}
