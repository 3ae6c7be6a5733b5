//! A settlement whose answer is lost, its repeats, and the resolution that fences or reverses it, all at once: exactly one of
//! them wins, and everybody is told the same.
//!
//! `GONGJI_FENCES=10000 cargo test --test suite rpc::resolutions` runs 10 000 interleavings on each store; `GONGJI_SEED=…`
//! takes that seed.

use proto::ResolvedOutcome as R;
use proto::settlement_service_client::SettlementServiceClient;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::process::{Dice, Replay, from_env};
use crate::support::*;

const FAMILIES: usize = 32;
const CONNECTIONS: usize = 8;
/// Of each bill, so that what was paid tells how many had an effect.
const FEN: i64 = 10;

/// One case: in which order the calls leave, and who stops listening.
#[derive(Clone)]
struct Case {
    original: proto::SettleRequest,
    /// Whether the original is a hold, which is confirmed by nobody.
    hold: bool,
    resolve: proto::ResolveOutcomeRequest,
    /// `true`: the original, `false`: the resolution. At least one of each.
    calls: Vec<bool>,
    /// How often the first call yields before it leaves.
    delays: Vec<usize>,
    /// Its answer is lost: the client hangs up after so many yields.
    lost: Option<usize>,
}

fn case(dice: &mut Dice, patient: &str, number: usize) -> Case {
    let original = settle(&format!("o-{number}"), patient, FEN);
    let mut resolve = fence(&format!("v-{number}"), &original.request_id);
    if dice.roll(3) == 0 {
        resolve.if_applied = proto::IfApplied::Reverse as i32;
    }
    let mut calls: Vec<bool> = (0..2 + dice.roll(3)).map(|_| dice.roll(2) == 0).collect();
    calls[0] = dice.roll(2) == 0;
    calls[1] = !calls[0];
    let delays = calls.iter().map(|_| dice.roll(12)).collect();
    Case { original, hold: dice.roll(4) == 0, resolve, calls, delays, lost: (dice.roll(3) == 0).then(|| dice.roll(40)) }
}

/// What a call was told: `Ok` where the original had its effect.
type Said = Result<(), String>;

async fn send_original(case: &Case, channel: Channel) -> Said {
    let mut client = SettlementServiceClient::new(channel);
    let answer = match case.hold {
        true => client.hold_settlement(hold_of(&case.original, 3_600)).await.map(|_| ()),
        false => client.settle(case.original.clone()).await.map(|_| ()),
    };
    answer.map_err(|status| words(&status))
}

async fn resolve(case: &Case, request_id: &str, channel: Channel) -> R {
    let mut client = SettlementServiceClient::new(channel);
    let request = proto::ResolveOutcomeRequest { request_id: request_id.to_owned(), ..case.resolve.clone() };
    client.resolve_outcome(request).await.expect("a resolution is answered").into_inner().outcome()
}

/// Runs one case; whether its bill was paid in the end.
async fn play(case: Case, connections: Vec<Channel>, number: usize) -> bool {
    let mut calls = JoinSet::new();
    for (place, original) in case.calls.iter().copied().enumerate() {
        let (case, channel) = (case.clone(), connections[(number + place) % connections.len()].clone());
        calls.spawn(async move {
            for _ in 0..case.delays[place] {
                tokio::task::yield_now().await;
            }
            if !original {
                return (None, Some(resolve(&case, &format!("v-{number}"), channel).await));
            }
            let hangs_up = async {
                match case.lost.filter(|_| place < 2) {
                    Some(after) => {
                        for _ in 0..after {
                            tokio::task::yield_now().await;
                        }
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                said = send_original(&case, channel) => (Some(said), None),
                () = hangs_up => (None, None),
            }
        });
    }
    let told = calls.join_all().await;
    // Afterwards both sides ask once more.
    let last = resolve(&case, &format!("w-{number}"), connections[0].clone()).await;
    let again = send_original(&case, connections[0].clone()).await;
    let fenced = Err("FailedPrecondition REQUEST_FENCED".to_owned());
    let reverse = case.resolve.if_applied == proto::IfApplied::Reverse as i32;
    let applied = match (&again, last) {
        (Ok(()), R::Applied) if !reverse => true,
        (Ok(()), R::Reversed) if reverse => true,
        (again, R::Fenced) if *again == fenced => false,
        other => panic!("case {number}: the two sides are told {other:?}"),
    };
    for (original, resolution) in told {
        if let Some(said) = original {
            assert_eq!(said, if applied { Ok(()) } else { fenced.clone() }, "case {number}");
        }
        if let Some(outcome) = resolution {
            assert_eq!(outcome, last, "case {number}");
        }
    }
    applied && !reverse
}

#[test]
fn a_lost_answer_and_its_fence_have_one_outcome() {
    let cases = usize::try_from(from_env("GONGJI_FENCES", 300)).expect("not so many");
    let seed = from_env("GONGJI_SEED", 0x5e77);
    let _replay = Replay(format!(
        "GONGJI_SEED={seed} GONGJI_FENCES={cases} cargo test --test suite rpc::resolutions -- --nocapture"
    ));
    println!("seed {seed}, {cases} cases on each store");
    for_each_store(|setup| {
        let server = setup
            .with(|config| {
                config.holds_per_member = 1_000_000;
                config.call_time_ms = 60_000;
            })
            .start();
        let money = i64::try_from(cases).expect("few") * FEN + 1;
        let pairs: Vec<(String, String)> = (0..FAMILIES)
            .map(|number| {
                let number = u32::try_from(number * 2).expect("few");
                let (mother, son) = (server.member(number, "440300", 0), server.member(number + 1, "440300", money));
                server.bind(&son, &mother);
                (mother, son)
            })
            .collect();
        let mut dice = Dice::new(seed);
        let mut paid = vec![0; FAMILIES];
        let (mut applied, mut fenced_or_reversed) = (0, 0);
        server.wait(async {
            let connections: Vec<Channel> = (0..CONNECTIONS).map(|_| server.connect()).collect();
            let mut running = JoinSet::new();
            let mut begun = 0;
            while begun < cases || !running.is_empty() {
                while begun < cases && running.len() < 16 {
                    let (number, family) = (begun, begun % FAMILIES);
                    let (case, connections) = (case(&mut dice, &pairs[family].0, number), connections.clone());
                    running.spawn(async move { (family, play(case, connections, number).await) });
                    begun += 1;
                }
                let (family, stands) = running.join_next().await.expect("one runs").expect("no panic");
                if stands {
                    paid[family] += FEN;
                    applied += 1;
                } else {
                    fenced_or_reversed += 1;
                }
            }
        });
        println!("{applied} stand, {fenced_or_reversed} were fenced or reversed");
        assert!(applied > cases / 10 && fenced_or_reversed > cases / 10, "the seed takes one side only");
        for ((_, son), paid) in pairs.iter().zip(paid) {
            let account = server.account(son);
            let prior = account.buckets.iter().find(|found| found.bucket == proto::Bucket::PriorYears as i32);
            assert_eq!(prior.expect("every bucket is shown").available_fen, money - paid);
        }
    });
}

/// The same refund sum whoever refunds at once: never more than each paid.
#[test]
fn refunds_at_once_never_exceed_what_was_paid() {
    for_each_store(|setup| {
        let server = setup.start();
        let (mother, son) = server.family(50_000);
        let settled = server.settle(settle("s", &mother, 1_000)).expect("settled").settlement.expect("set");
        let answers = server.wait(async {
            let connections: Vec<Channel> = (0..CONNECTIONS).map(|_| server.connect()).collect();
            let mut calls = JoinSet::new();
            for number in 0..64 {
                let mut client = SettlementServiceClient::new(connections[number % CONNECTIONS].clone());
                let parts = proto::RefundParts { accounts_fen: 70, ..Default::default() };
                let request = refund_parts(&format!("f-{number}"), &settled.settlement_id, parts);
                calls.spawn(async move { client.refund_settlement(request).await });
            }
            calls.join_all().await
        });
        let refused = "FailedPrecondition REFUND_EXCEEDS_PAID";
        answers.iter().filter_map(|answer| answer.as_ref().err()).for_each(|no| assert_eq!(words(no), refused));
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 14, "fourteen times 70 of 1000");
        assert_eq!(server.balances(&son), (0, 49_980));
    });
}
