//! A consumer of the feed: it listens, is slow, dies and comes again where it was, through crashes of the server. What it is
//! told has to be the ledger: every record that passes its filter, once, in order, and none that could be lost.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gongji::domain::ids::{InstitutionCode, MemberId};
use gongji::ledger::watch::{Filter, Step, Watch, WatchLimits};
use gongji::ledger::{Failure, Ledger};
use tokio::runtime::Runtime;

use super::audit::About;
use super::plan::INSTITUTIONS;
use super::stage::{Checked, Stage, broken};
use crate::process::Dice;

/// Gives a sleep something to register with; nothing runs on it, and no time passes.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be made")
});

type Beginning = Pin<Box<dyn Future<Output = Result<Watch, Failure>>>>;
type Stepping = Pin<Box<dyn Future<Output = (Watch, Result<Step, Failure>)>>>;

/// What a consumer wants to hear of.
#[derive(Clone, Copy, Debug)]
enum Wants {
    All,
    Of(MemberId),
    At(&'static str),
}

impl Wants {
    fn passes(self, about: &About) -> bool {
        match self {
            Self::All => true,
            Self::Of(member) => about.members.contains(&member),
            Self::At(code) => about.institutions.iter().any(|known| known.as_str() == code),
        }
    }

    fn filter(self) -> Filter {
        let (mut members, mut institutions) = (Vec::new(), Vec::new());
        match self {
            Self::All => {}
            Self::Of(member) => members.push(member),
            Self::At(code) => institutions.push(InstitutionCode::parse(code).expect("a code")),
        }
        Filter { event: Box::new(|_| true), members, institutions, regions: Vec::new() }
    }
}

/// See the module.
#[derive(Default)]
pub struct Feed {
    /// Everything up to here was told, and the link of that record.
    at: u64,
    link: Option<[u8; 32]>,
    wants: Option<Wants>,
    beginning: Option<Beginning>,
    stepping: Option<Stepping>,
}

impl Feed {
    /// The server dies, and every stream with it.
    pub fn crash(&mut self) {
        (self.beginning, self.stepping) = (None, None);
    }

    pub fn turn(&mut self, stage: &Stage, ledger: &Arc<Ledger>, dice: &mut Dice) -> Checked {
        if dice.roll(40) == 0 {
            self.crash();
        }
        if self.beginning.is_none() && self.stepping.is_none() {
            self.begin(stage, ledger, dice);
        }
        let _timers = RUNTIME.enter();
        let mut context = Context::from_waker(Waker::noop());
        if let Some(beginning) = &mut self.beginning {
            let Poll::Ready(begun) = beginning.as_mut().poll(&mut context) else { return Ok(()) };
            self.beginning = None;
            match begun {
                Ok(watch) => self.stepping = Some(step(watch)),
                // It may say so while the store is away.
                Err(Failure::StoreUnavailable) => {}
                Err(failure) => return broken("the feed goes on where it was", format!("{failure:?} at {}", self.at)),
            }
            return Ok(());
        }
        let Some(stepping) = &mut self.stepping else { return Ok(()) };
        let Poll::Ready((watch, told)) = stepping.as_mut().poll(&mut context) else { return Ok(()) };
        self.stepping = None;
        match told {
            Ok(told) => {
                self.heard(stage, &told)?;
                self.stepping = Some(step(watch));
                Ok(())
            }
            Err(Failure::StoreUnavailable) => Ok(()),
            Err(failure) => broken("the feed goes on where it was", format!("{failure:?} at {}", self.at)),
        }
    }

    fn begin(&mut self, stage: &Stage, ledger: &Arc<Ledger>, dice: &mut Dice) {
        let state = stage.state();
        let wants = match dice.roll(3) {
            0 if !state.model.who.is_empty() => {
                let place = dice.roll(state.model.who.len());
                Wants::Of(*state.model.who.keys().nth(place).expect("there are some"))
            }
            1 => Wants::At(INSTITUTIONS[dice.roll(INSTITUTIONS.len())]),
            _ => Wants::All,
        };
        self.wants = Some(wants);
        // Now and then a consumer that forgot how far it was.
        if dice.roll(10) == 0 {
            (self.at, self.link) = (0, None);
        }
        let limits = WatchLimits { message_bytes: 1 + dice.roll(4_000), checkpoint: Duration::from_secs(86_400) };
        let begun = Watch::begin(ledger.clone(), self.at + 1, self.link, wants.filter(), limits);
        self.beginning = Some(Box::pin(begun));
    }

    fn heard(&mut self, stage: &Stage, told: &Step) -> Checked {
        let state = stage.state();
        let wants = self.wants.expect("it asked");
        let Some(known) = state.audit.feed.get(usize::try_from(self.at).expect("few")..) else {
            return broken("the feed is the ledger", format!("{} was told, and is gone", self.at));
        };
        let until = told.checkpoint.position;
        if until < self.at || until > state.durable {
            return broken("the feed is durable", format!("{} to {until}, durable {}", self.at, state.durable));
        }
        let span = usize::try_from(until - self.at).expect("few");
        let Some(known) = known.get(..span) else {
            return broken("the feed is the ledger", format!("told up to {until}"));
        };
        let meant: Vec<(u64, [u8; 32])> = (self.at + 1..)
            .zip(known)
            .filter(|(_, about)| wants.passes(about))
            .map(|(position, about)| (position, about.link))
            .collect();
        let is: Vec<(u64, [u8; 32])> = told.records.iter().map(|(stored, _)| (stored.position, stored.link)).collect();
        if is != meant {
            let places = |of: &[(u64, [u8; 32])]| of.iter().map(|(position, _)| *position).collect::<Vec<_>>();
            return broken(
                "the feed is the ledger",
                format!("{wants:?} from {}: told {:?} for {:?}", self.at, places(&is), places(&meant)),
            );
        }
        if known.last().is_some_and(|last| last.link != told.checkpoint.link) {
            return broken("the feed is the ledger", format!("another link at {until}"));
        }
        self.at = until;
        self.link = (until > 0).then_some(told.checkpoint.link);
        Ok(())
    }

    /// When all is done it hears of all.
    pub fn hear_all(&mut self, stage: &Stage, ledger: &Arc<Ledger>, dice: &mut Dice) -> Checked {
        let head = stage.state().audit.head.position;
        for _ in 0..10_000 {
            if self.at == head {
                return Ok(());
            }
            self.turn(stage, ledger, dice)?;
        }
        broken("the feed is the ledger", format!("it stands at {} of {head}", self.at))
    }
}

fn step(mut watch: Watch) -> Stepping {
    Box::pin(async move {
        let told = watch.step().await;
        (watch, told)
    })
}
