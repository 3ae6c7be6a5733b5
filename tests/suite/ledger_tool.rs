//! `gongji ledger`: what it prints offline and of a running server, and what it refuses.

use tempfile::TempDir;

use super::feed::{load, people};
use super::kills::{Outcome, binding, send, settle};
use super::process::{Server, ended, gongji, run, today};

fn output(args: &[&str]) -> (bool, String, String) {
    let output = ended(gongji(&[&["ledger"], args].concat()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stderr);
    assert!(!said.contains("panicked"), "{said}");
    (output.status.success(), text(&output.stdout), said)
}

#[test]
fn the_ledger_is_verified_shown_and_proved() {
    let dir = TempDir::new().expect("a directory");
    let data = dir.path().to_str().expect("a plain path");
    let server = Server::on(dir.path(), &["--index-bytes", "20000"]);
    run(async {
        people(&server).await;
        load(&server, 0, 200).await;
        let channel = server.channel().await;
        let bound = binding(&channel, "bind".to_owned(), 0, 1).await;
        let day = today(channel.clone()).await;
        for op in [bound, settle("settle".to_owned(), "H001", 1, &day, 5, 1)] {
            let outcome = send(&channel, op).await;
            assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        }
    });
    let url = format!("http://{}", server.address);
    let online = ["--connect", url.as_str()];
    let (good, settled, said) = output(&[&["show", "266"], &online[..]].concat());
    assert!(good && settled.starts_with("266 ") && settled.contains(" settled stl_"), "{settled}{said}");
    assert!(settled.contains("to institution:H001") && settled.contains("from account:mem_"), "{settled}");
    let id = |prefix: &str| {
        let from = settled.find(prefix).expect("it is named");
        settled[from..from + prefix.len() + 32].to_owned()
    };
    let (settlement, member) = (id("stl_"), id("mem_"));
    let asked: [&[&str]; 5] = [
        &["show", "1..3"],
        &["show", "--settlement", &settlement],
        &["show", "--member", &member, "1..100"],
        &["prove-balance", &member],
        &["verify"],
    ];
    let while_it_runs: Vec<String> = asked
        .iter()
        .map(|args| {
            let (good, text, said) = output(&[args, &online[..]].concat());
            assert!(good, "{args:?}: {said}");
            text
        })
        .collect();
    let (good, _, said) = output(&["verify", "--data-dir", data]);
    assert!(!good && said.contains("in use"), "{said}");
    let (status, _, log) = server.terminate();
    assert!(status.success(), "{log}");
    for (args, before) in asked.iter().zip(&while_it_runs) {
        let (good, text, said) = output(&[args, &["--data-dir", data][..]].concat());
        assert!(good, "{args:?}: {said}");
        if args[0] == "verify" {
            assert!(text.contains("266 records") && text.contains("266 changes in the index"), "{text}");
            let head = |text: &str| text.split_whitespace().last().map(str::to_owned);
            assert_eq!(head(&text), head(before));
        } else {
            assert_eq!(&text, before, "{args:?}");
        }
    }
    let proof = &while_it_runs[3];
    assert!(proof.contains("balance 0.0") && proof.contains("every link from the first record to 266"), "{proof}");
    assert_eq!(while_it_runs[1], settled, "the settlement has one record");
}

#[test]
fn what_is_not_there_is_said() {
    let dir = TempDir::new().expect("a directory");
    let data = dir.path().join("none");
    let data = data.to_str().expect("a plain path");
    let check = |args: &[&str], part: &str| {
        let (good, _, said) = output(&[args, &["--data-dir", data][..]].concat());
        assert!(!good && said.contains(part), "{args:?}: {said}");
        assert!(!std::path::Path::new(data).exists(), "nothing is made");
    };
    check(&["verify"], "no gongji data set");
    check(&["show", "1"], "no gongji data set");
    check(&["show", "3..2"], "a range such as 7..9");
    check(&["show", "--member", "mem_1"], "--member");
    check(&["show", "--settlement", "x"], "--settlement");
    check(&["prove-balance", "x"], "mem_");
}
