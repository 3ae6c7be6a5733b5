//! A consumer of the feed: it listens, is slow, dies and comes again where it was, through crashes of the server. What it is
//! told has to be the ledger: every record that passes its filter, once, in order, and none that could be lost.

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use gongji::domain::ids::{MemberId, RegionCode};
use gongji::grpc::proto::ledger_service_server::LedgerService;
use gongji::grpc::proto::{RecordKind, WatchRequest, WatchResponse};
use gongji::grpc::watch::Feed as Messages;
use gongji::grpc::{Service, proto};
use gongji::ledger::Failure;
use tokio::runtime::Runtime;
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status};

use super::audit::About;
use super::bend::Tamper;
use super::many::failure;
use super::plan::INSTITUTIONS;
use super::stage::{Checked, Stage, State, broken};
use crate::process::Dice;

/// Gives a sleep something to register with; nothing runs on it, and no time passes.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be made")
});

type Beginning = Pin<Box<dyn Future<Output = Result<Response<Messages>, Status>>>>;
type Stepping = Pin<Box<dyn Future<Output = (Messages, Option<Result<WatchResponse, Status>>)>>>;

/// What a consumer wants to hear of: what passes each filter that is not empty.
#[derive(Clone, Debug, Default)]
struct Wants {
    kinds: Vec<RecordKind>,
    members: Vec<MemberId>,
    institutions: Vec<&'static str>,
    regions: Vec<RegionCode>,
}

impl Wants {
    /// All, or by one filter, or by several at once.
    fn drawn(state: &State, dice: &mut Dice) -> Self {
        let mut wants = Self::default();
        let place = dice.roll(6);
        let one_of = |number: usize, dice: &mut Dice| place == number || (place == 5 && dice.roll(2) == 0);
        if one_of(1, dice) {
            let of_changes = |event: &RecordKind| !matches!(event, RecordKind::Unspecified);
            let all: Vec<RecordKind> = (0..40).filter_map(|number| RecordKind::try_from(number).ok()).collect();
            let all: Vec<RecordKind> = all.into_iter().filter(of_changes).collect();
            wants.kinds = (0..1 + dice.roll(12)).map(|_| *dice.one_of(&all)).collect();
        }
        if one_of(2, dice) && !state.model.who.is_empty() {
            let known: Vec<MemberId> = state.model.who.keys().copied().collect();
            wants.members = (0..1 + dice.roll(2)).map(|_| *dice.one_of(&known)).collect();
        }
        if one_of(3, dice) {
            wants.institutions = (0..1 + dice.roll(2)).map(|_| *dice.one_of(&INSTITUTIONS)).collect();
        }
        if one_of(4, dice) {
            let pools = state.world.pools();
            wants.regions = (0..1 + dice.roll(2)).map(|_| *dice.one_of(&pools)).collect();
        }
        wants
    }

    fn are_all(&self) -> bool {
        let Self { kinds, members, institutions, regions } = self;
        kinds.is_empty() && members.is_empty() && institutions.is_empty() && regions.is_empty()
    }

    fn passes(&self, about: &About) -> bool {
        let Self { kinds, members, institutions, regions } = self;
        (kinds.is_empty() || kinds.contains(&about.kind))
            && (members.is_empty() || members.iter().any(|member| about.members.contains(member)))
            && (institutions.is_empty()
                || institutions.iter().any(|code| about.institutions.iter().any(|known| known.as_str() == *code)))
            && (regions.is_empty() || regions.iter().any(|region| about.regions.contains(region)))
    }

    fn asked(&self, from: u64, link: Option<[u8; 32]>) -> WatchRequest {
        WatchRequest {
            from_position: i64::try_from(from).expect("few"),
            after_digest: link.map(|link| hex(&link)).unwrap_or_default(),
            kinds: self.kinds.iter().map(|kind| *kind as i32).collect(),
            member_ids: self.members.iter().map(|member| member.to_text()).collect(),
            institution_codes: self.institutions.iter().map(|code| (*code).to_owned()).collect(),
            region_codes: self.regions.iter().map(|region| region.to_text()).collect(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// See the module.
#[derive(Default)]
pub struct Feed {
    /// Everything up to here was told, and the link of that record.
    at: u64,
    link: Option<[u8; 32]>,
    wants: Wants,
    beginning: Option<Beginning>,
    stepping: Option<Stepping>,
}

impl Feed {
    /// The server dies, and every stream with it.
    pub fn crash(&mut self) {
        (self.beginning, self.stepping) = (None, None);
    }

    pub fn turn(&mut self, stage: &Stage, service: &Service, tamper: &Tamper, dice: &mut Dice) -> Checked {
        if dice.roll(40) == 0 {
            self.crash();
        }
        if self.beginning.is_none() && self.stepping.is_none() {
            self.begin(stage, service, tamper, dice);
        }
        let _timers = RUNTIME.enter();
        let mut context = Context::from_waker(Waker::noop());
        if let Some(beginning) = &mut self.beginning {
            let Poll::Ready(begun) = beginning.as_mut().poll(&mut context) else { return Ok(()) };
            self.beginning = None;
            match begun {
                Ok(messages) => self.stepping = Some(step(messages.into_inner())),
                Err(status) => return self.ended(&status),
            }
            return Ok(());
        }
        let Some(stepping) = &mut self.stepping else { return Ok(()) };
        let Poll::Ready((messages, told)) = stepping.as_mut().poll(&mut context) else { return Ok(()) };
        self.stepping = None;
        match told {
            Some(Ok(told)) => {
                self.heard(stage, &told)?;
                self.stepping = Some(step(messages));
                Ok(())
            }
            Some(Err(status)) => self.ended(&status),
            None => broken("the feed goes on where it was", format!("it ended at {}", self.at)),
        }
    }

    /// It may say so while the store is away.
    fn ended(&self, status: &Status) -> Checked {
        match failure(status) {
            Failure::StoreUnavailable => Ok(()),
            failure => broken("the feed goes on where it was", format!("{failure:?} at {}", self.at)),
        }
    }

    fn begin(&mut self, stage: &Stage, service: &Service, tamper: &Tamper, dice: &mut Dice) {
        self.wants = Wants::drawn(&stage.state(), dice);
        // Now and then a consumer that forgot how far it was.
        if dice.roll(10) == 0 {
            (self.at, self.link) = (0, None);
        }
        let mut asked = self.wants.asked(self.at + 1, self.link);
        if let Some(bend) = tamper.asked {
            bend(&mut asked);
        }
        let service = service.clone();
        self.beginning = Some(Box::pin(async move { service.watch(Request::new(asked)).await }));
    }

    fn heard(&mut self, stage: &Stage, told: &WatchResponse) -> Checked {
        let state = stage.state();
        let Some(known) = state.audit.feed.get(usize::try_from(self.at).expect("few")..) else {
            return broken("the feed is the ledger", format!("{} was told, and is gone", self.at));
        };
        let Some(proto::Checkpoint { position, digest, .. }) = &told.checkpoint else {
            return broken("the feed goes on where it was", "a message without a checkpoint");
        };
        let until = u64::try_from(*position).unwrap_or_default();
        if until < self.at || until > state.durable {
            return broken("the feed is durable", format!("{} to {until}, durable {}", self.at, state.durable));
        }
        let span = usize::try_from(until - self.at).expect("few");
        let Some(known) = known.get(..span) else {
            return broken("the feed is the ledger", format!("told up to {until}"));
        };
        let about = (self.at + 1..).zip(known).filter(|(_, about)| self.wants.passes(about));
        let meant: Vec<(u64, RecordKind, String)> =
            about.map(|(position, about)| (position, about.kind, hex(&about.link))).collect();
        let is = told
            .records
            .iter()
            .map(|record| (u64::try_from(record.position).unwrap_or_default(), record.kind(), record.link.clone()));
        let is: Vec<(u64, RecordKind, String)> = is.collect();
        if is != meant {
            let places = |of: &[(u64, RecordKind, String)]| of.iter().map(|(at, ..)| *at).collect::<Vec<_>>();
            let (told, due) = (places(&is), places(&meant));
            let law = match () {
                () if self.wants.are_all() => "the feed is the ledger",
                () if due.iter().any(|at| !told.contains(at)) => "a filter keeps nothing back that passes",
                () if told.iter().any(|at| !due.contains(at)) => "a filter lets nothing else through",
                () => "the feed is the ledger",
            };
            return broken(law, format!("{:?} from {}: told {told:?} for {due:?}", self.wants, self.at));
        }
        if known.last().is_some_and(|last| hex(&last.link) != *digest) {
            return broken("the feed is the ledger", format!("another link at {until}"));
        }
        self.link = known.last().map_or(self.link, |last| Some(last.link));
        self.at = until;
        Ok(())
    }

    /// When all is done it hears of all.
    pub fn hear_all(&mut self, stage: &Stage, service: &Service, tamper: &Tamper, dice: &mut Dice) -> Checked {
        let head = stage.state().audit.head.position;
        for _ in 0..10_000 {
            if self.at == head {
                return Ok(());
            }
            self.turn(stage, service, tamper, dice)?;
        }
        broken("the feed is the ledger", format!("it stands at {} of {head}", self.at))
    }
}

fn step(mut messages: Messages) -> Stepping {
    Box::pin(async move {
        let told = messages.next().await;
        (messages, told)
    })
}
