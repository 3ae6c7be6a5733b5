//! What one run shares: the clock, the names given out, who is on turn, what the store took, and what the auditor found.
//! Everything happens on one thread; the lock is only there because stores and clocks have to be shareable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gongji::domain::ids::RequestId;
use gongji::domain::record::Event;
use gongji::domain::settlement::hold::HoldEnd;
use gongji::domain::time::Moment;
use gongji::ledger::failure::Thing;
use gongji::ledger::source::{Clock, Ids};
use gongji::ledger::{Failure, fingerprint};
use gongji::store::record::decode_record;
use gongji::store::{Change, Committed, Key, Store, StoredRecord};

use super::audit::{About, Audit, Touched};
use super::many::{Came, on_the_wire};
use super::model::{Decided, Model, No, Turn};
use super::op::{Answer, Op, Reply, What};
use super::world::World;
use crate::process::Dice;

/// A law that was broken, and how.
#[derive(Clone, Debug)]
pub struct Broken {
    pub law: &'static str,
    pub what: String,
}

pub type Checked = Result<(), Broken>;

pub fn broken<T>(law: &'static str, what: impl Into<String>) -> Result<T, Broken> {
    Err(Broken { law, what: what.into() })
}

/// How often, in a thousand, the store does what stores do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    pub conflict: usize,
    pub away: usize,
    pub lost_answer: usize,
    pub not_durable: usize,
    /// The most turns a call to the store waits, before and after its effect.
    pub delay: usize,
}

/// A call on its way.
#[derive(Clone, Debug)]
pub struct Flight {
    pub op: Arc<Op>,
    /// The id the server drew for it.
    pub id: u128,
    /// The last instant it was told, and all of them.
    pub now: Option<Moment>,
    pub told: Vec<Moment>,
    /// The head when it began.
    pub began_at: u64,
    /// What it may come to: evaluated when it was told the time, and after every change since; with the position then.
    pub moments: Vec<(u64, Decided)>,
    /// What it loaded since its attempt began; not of an item of many.
    pub loaded: Vec<Key>,
    /// Of a call of many: each item, and the ids that the server drew.
    pub items: Vec<Flight>,
    pub ids: Vec<u128>,
    /// Where its request stands.
    pub request: Key,
    /// The change it made, and what it must answer.
    pub made: Option<(u64, Reply)>,
    /// How many changes a night has made.
    pub changes: u32,
    pub conflicts: u32,
    pub away: bool,
    pub unknown: bool,
    /// Whether it was one of many, whose answer came by the wire.
    pub is_item: bool,
}

/// A change the store took, enough to take it again.
#[derive(Clone)]
pub struct Taken {
    pub change: Change,
    /// What the store was told.
    pub now: Moment,
    /// When it was decided: whose day counts, though a quota's record may be dated after what it saw.
    pub decided: Moment,
    pub op: Arc<Op>,
    pub id: u128,
}

pub struct State {
    pub world: Arc<World>,
    pub dice: Dice,
    pub weather: Weather,
    pub micros: i64,
    pub ids: u128,
    pub on_turn: Option<usize>,
    pub flights: Vec<Option<Flight>>,
    pub model: Model,
    pub audit: Audit,
    pub taken: Vec<Taken>,
    pub durable: u64,
    pub broken: Option<Broken>,
    pub answers: u64,
    /// What had its effect, and how often; of resolutions, which.
    pub effects: BTreeMap<String, u64>,
}

/// See the module.
pub struct Stage {
    state: Mutex<State>,
    pub keys: fingerprint::Keys,
}

impl Stage {
    pub fn new(state: State, secret: [u8; 32]) -> Self {
        Self { state: Mutex::new(state), keys: fingerprint::Keys::from_secret(secret) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub fn note(&mut self, outcome: Checked) {
        if let (Err(broken), None) = (outcome, &self.broken) {
            self.broken = Some(broken);
        }
    }

    pub fn flight(&mut self) -> Option<&mut Flight> {
        self.flights.get_mut(self.on_turn?)?.as_mut()
    }

    /// The flight that a change is of: of many items, the one whose request it records.
    pub fn flight_of(&mut self, change: &Change) -> Option<&mut Flight> {
        let flight = self.flight()?;
        match flight.item_of(change) {
            Some(place) => Some(&mut flight.items[place]),
            None => Some(flight),
        }
    }

    /// A call looks at facts. Every attempt begins with a look at its request, and the time it was told is that of just
    /// before: so one item of many is known from the others.
    pub fn looks(&mut self, keys: &[Key], fails: bool) {
        let head = self.audit.head.position;
        let Some(place) = self.on_turn else { return };
        let Some(mut flight) = self.flights[place].take() else { return };
        flight.away |= fails;
        flight.loaded.extend_from_slice(keys);
        if let ([request @ Key::Request(_), ..], Some(now)) = (keys, flight.now) {
            let shared = flight.items.iter().filter(|item| item.request == *request).count() > 1;
            for item in flight.items.iter_mut().filter(|item| item.request == *request) {
                item.began_at = if item.told.is_empty() { head } else { item.began_at };
                item.now = Some(now);
                item.told.push(now);
                if !shared {
                    item.moments.clear();
                }
                item.moments.push((head, self.model.decide(&self.world, &item.op, Turn { now, id: 0 })));
            }
        }
        self.flights[place] = Some(flight);
    }

    /// Tells the time to whoever is on turn: from here on its answer has to be that of some moment.
    fn tell_time(&mut self) -> Moment {
        self.micros += 1 + i64::try_from(self.dice.roll(900)).expect("small");
        let now = Moment::from_micros(self.micros);
        let head = self.audit.head.position;
        if let Some(place) = self.on_turn
            && let Some(mut flight) = self.flights[place].take()
        {
            flight.began_at = if flight.told.is_empty() { head } else { flight.began_at };
            flight.now = Some(now);
            flight.told.push(now);
            flight.loaded.clear();
            if flight.items.is_empty() {
                flight.moments = vec![(head, self.model.decide(&self.world, &flight.op, Turn { now, id: flight.id }))];
            }
            self.flights[place] = Some(flight);
        }
        now
    }

    /// After a change: everybody on the way may have seen what was before, or what is now.
    fn moments_pass(&mut self) {
        let head = self.audit.head.position;
        for place in 0..self.flights.len() {
            let Some(mut flight) = self.flights[place].take() else { continue };
            match (flight.now, &flight.made) {
                (Some(now), None) if flight.items.is_empty() => {
                    let turn = Turn { now, id: flight.id };
                    flight.moments.push((head, self.model.decide(&self.world, &flight.op, turn)));
                }
                // One that was sent twice in the same call may be told what the other did.
                _ => {
                    for item in &mut flight.items {
                        let Some(now) = item.now else { continue };
                        item.moments.push((head, self.model.decide(&self.world, &item.op, Turn { now, id: 0 })));
                    }
                }
            }
            self.flights[place] = Some(flight);
        }
    }

    /// A change was taken: it is looked at by itself, then held against what it had to be.
    pub fn took(
        &mut self,
        store: &dyn Store,
        keys: &fingerprint::Keys,
        change: Change,
        now: Moment,
        done: Committed,
        record: Option<StoredRecord>,
    ) {
        let checked = self.take(store, keys, change, now, done, record);
        self.note(checked);
    }

    fn take(
        &mut self,
        store: &dyn Store,
        keys: &fingerprint::Keys,
        change: Change,
        now: Moment,
        done: Committed,
        record: Option<StoredRecord>,
    ) -> Checked {
        let Some(place) = self.on_turn else { return broken("nobody writes unasked", "a change came from nowhere") };
        let Some(flight) = self.flights[place].clone() else {
            return broken("nobody writes unasked", "a change came after its call was answered");
        };
        let item = flight.item_of(&change);
        let doing = item.map_or(&flight, |item| &flight.items[item]);
        // What sets a quota or draws on one is not before what it saw, whatever the clock told.
        let of_quota = change.puts.iter().any(|(key, _)| matches!(key, Key::Quota(_)));
        let seen = self.audit.head.at.next();
        let is_later = doing.now.is_some_and(|told| of_quota && told < now && now <= seen);
        // Of the bureau's work several changes may be under way together, and the same item may be sent twice in one call.
        let together = flight.op.is_job() || !flight.items.is_empty();
        let is_told = together && doing.told.contains(&now);
        if doing.now != Some(now) && !is_later && !is_told {
            return broken("a decision is of its moment", format!("told {:?}, decided at {now:?}", doing.now));
        }
        // A call that looks again for its own verdict may meet a hold that has run out meanwhile.
        let ends_a_hold = || {
            let event = decode_record(&change.record).map(|record| record.event);
            matches!(event, Ok(Event::HoldEnded { how: HoldEnd::Expired, .. }))
        };
        if doing.made.is_some() && !ends_a_hold() {
            return broken("a request has one effect", format!("{} made two changes", doing.op.id));
        }
        let expected = |key: &Key| change.expects.iter().any(|(known, _)| known == key);
        // A revision lies under its own digest and never changes.
        let changes = |key: &&Key| !matches!(key, Key::Policy(_));
        let missing = flight.loaded.iter().filter(changes).find(|key| !expected(key));
        if let Some(key) = missing.filter(|_| !together) {
            return broken("everything loaded is expected", format!("{key:?} was loaded and is not expected"));
        }
        let id = match item {
            Some(_) => Audit::new_id_of(&change.record).filter(|id| flight.ids.contains(id)).unwrap_or_default(),
            None => flight.id,
        };
        let asked = doing.op.clone();
        let decided = doing.now.filter(|_| is_later).unwrap_or(now);
        let taken = Taken { change, now, decided, op: asked.clone(), id };
        let (op, reply) = self.look(store, keys, taken, done, record)?;
        // Who meets a hold that has run out ends it first, under a request id of its own.
        let own = op == asked;
        if own && item.is_some() {
            *self.effects.entry(format!("{}, one of many", op.name())).or_default() += 1;
        }
        if let Some(flight) = &mut self.flights[place] {
            flight.changes += u32::from(matches!(op.what, What::Return { .. }));
            let doing = match item {
                Some(item) => &mut flight.items[item],
                None => flight,
            };
            if own {
                doing.made = Some((done.position, reply));
            }
        }
        self.moments_pass();
        Ok(())
    }

    /// Looks at a change and takes it into the model; what it must answer.
    pub fn look(
        &mut self,
        store: &dyn Store,
        keys: &fingerprint::Keys,
        mut taken: Taken,
        done: Committed,
        record: Option<StoredRecord>,
    ) -> Result<(Arc<Op>, Reply), Broken> {
        let mut looked_at = self.audit.record(&taken.change, taken.now, done, record.as_ref())?;
        looked_at.now = taken.decided;
        if let Some(job) = Audit::job_of(&looked_at, &taken.op.what, &self.model) {
            taken.op = Arc::new(job);
        }
        let op = &taken.op;
        if let Some(known) = self.model.known.get(&(op.scope(), op.id.clone())) {
            return broken("a request has one effect", format!("{} had its effect at {}", op.id, known.position));
        }
        self.audit.new_id(&looked_at, taken.id)?;
        Audit::instants(&self.model, &taken.change, done, op)?;
        self.audit.money(&looked_at)?;
        self.audit.alone(&looked_at)?;
        let turn = Turn { now: taken.decided, id: taken.id };
        let mut draft = match self.model.decide(&self.world, op, turn) {
            Decided::Fresh(draft) => draft,
            Decided::Look(_) => return broken("a question changes nothing", format!("{op:?}")),
            Decided::Repeat(..) => return broken("a request has one effect", op.id.clone()),
            Decided::No(no) if matches!(op.what, What::Advance { .. }) => {
                return broken("a region's close passes over nobody", format!("{no}: {op:?}"));
            }
            Decided::No(no) => return broken("what is refused is not done", format!("{no}: {op:?}")),
        };
        if let Event::YearCloseStarted { close } = &looked_at.record.event
            && let Some((_, begun)) = &mut draft.close
        {
            if close.until >= done.position {
                return broken("a region's close ends", format!("{close:?} at {}", done.position));
            }
            begun.until = close.until;
        }
        self.audit.settlement(&self.world, &self.model, op, &looked_at, &draft, turn)?;
        self.audit.decided(&looked_at, &draft)?;
        self.audit.lists(store, keys, &taken.change, &draft, done.position)?;
        let effect = match (&draft.reply, &looked_at.record.event) {
            (Reply::Resolved { .. }, event) => format!("resolve: {}", name_of(event)),
            _ => op.name().to_owned(),
        };
        *self.effects.entry(effect).or_default() += 1;
        let reply = draft.reply.clone();
        let touched = Touched::of(&draft);
        self.audit.feed.push(About::of(self.audit.head.link, &looked_at, &draft, op, &self.model));
        self.model.apply(op, *draft, done.position);
        self.audit.facts(store, keys, &self.model, op, &looked_at, &touched)?;
        let op = taken.op.clone();
        self.taken.push(taken);
        Ok((op, reply))
    }

    /// An answer leaves: it must be the one that the change had, or that some moment of its way explains, and rest on what
    /// is durable.
    pub fn answered(&mut self, place: usize, outcome: &Result<Answer, Failure>) -> Checked {
        let flight = self.flights[place].take().expect("a call is answered once");
        self.answers += 1;
        match outcome {
            Ok(answer) => self.answered_ok(&flight, answer),
            Err(failure) => self.answered_no(&flight, failure),
        }
    }

    fn answered_ok(&self, flight: &Flight, answer: &Answer) -> Checked {
        if answer.position > self.durable {
            return broken(
                "an answer is durable",
                format!("answered at {}, durable to {}", answer.position, self.durable),
            );
        }
        if let What::ReturnUnclaimed { day } = flight.op.what {
            return self.night(flight, answer, day);
        }
        if let Reply::Many(came) = &answer.reply {
            return self.answered_many(flight, came);
        }
        if flight.op.is_job() {
            let began = flight.told.first().map_or(0, |began| began.as_micros());
            let since = |id| self.model.settlements[id].hold.map_or(0, |hold| hold.at);
            let mut due = self.model.open.iter().filter(|(_, expires)| **expires <= began);
            let left = due.find(|(id, _)| since(id) <= flight.began_at);
            return match left.filter(|_| matches!(flight.op.what, What::Sweep)) {
                Some(left) => broken("a sweep leaves nothing behind", format!("{left:?} at {began}")),
                None => Ok(()),
            };
        }
        if let Some((position, reply)) = &flight.made {
            if answer.replayed || answer.position != *position {
                return broken("an answer names its own change", format!("made at {position}, answered {answer:?}"));
            }
            return same(&flight.shown(reply), &answer.reply, "an answer is what was done");
        }
        let mut nearest = None;
        for (seen_at, moment) in &flight.moments {
            let (reply, position) = match moment {
                Decided::Look(reply) if !answer.replayed => (reply, *seen_at),
                Decided::Repeat(reply, position) if answer.replayed && answer.position == *position => {
                    (reply, *position)
                }
                // Another sending of the same resolution was faster, between two rounds of a look.
                Decided::Repeat(reply, position) if answer.position == 0 => (reply, *position),
                Decided::Fresh(_) | Decided::Look(_) | Decided::Repeat(..) | Decided::No(_) => continue,
            };
            let reply = flight.shown(reply);
            if reply == answer.reply && position <= self.durable {
                return Ok(());
            }
            nearest = Some(reply);
        }
        let law = match flight.op.what {
            _ if answer.replayed => "a repeat is the original answer",
            What::Resolve { .. } => "what became of a call is told as it is",
            _ => "a quote is what would be settled",
        };
        match nearest {
            Some(reply) => same(&reply, &answer.reply, law)
                .and_then(|()| broken("an answer is durable", "its moment was not durable yet")),
            None => broken(law, format!("{answer:?} where {:?}", flight.moments)),
        }
    }

    /// Each item has its answer in its place, and that is one that a call of its own could have had.
    fn answered_many(&self, flight: &Flight, came: &[Came]) -> Checked {
        let ids = |of: &mut dyn Iterator<Item = &str>| of.collect::<Vec<_>>().join(" ");
        let sent = ids(&mut flight.items.iter().map(|item| item.op.id.as_str()));
        let told = ids(&mut came.iter().map(|(id, _)| id.as_str()));
        if came.len() != flight.items.len() {
            return broken("every item of a call is answered", format!("{told} for {sent}"));
        }
        if told != sent {
            return broken("answers keep the order of their items", format!("{told} for {sent}"));
        }
        for (place, item) in flight.items.iter().enumerate() {
            // One that was sent twice has its effect once: who was told of it, or at least not that there was none, made it.
            let twins = || (0..came.len()).filter(|twin| flight.items[*twin].request == item.request);
            let made = twins().find_map(|twin| flight.items[twin].made.clone());
            let told_of = twins().find(|twin| came[*twin].1.as_ref().is_ok_and(|answer| !answer.replayed));
            let in_doubt = || twins().find(|twin| came[*twin].1 == Err(Failure::OutcomeUnknown));
            let maker = told_of.or_else(in_doubt).or_else(|| twins().next());
            let item = Flight {
                made: made.filter(|_| maker == Some(place)),
                // A commit tells its request, and so not which of the two it is.
                conflicts: twins().map(|twin| flight.items[twin].conflicts).sum::<u32>() + flight.conflicts,
                away: twins().any(|twin| flight.items[twin].away) || flight.away,
                unknown: twins().any(|twin| flight.items[twin].unknown) || flight.unknown,
                is_item: true,
                ..item.clone()
            };
            // Another item's settlement, member or account.
            if let (Some((_, meant)), Ok(answer)) = (&item.made, &came[place].1)
                && on_the_wire(meant).names() != answer.reply.names()
            {
                return broken("an item's answer is its own", format!("{:?} for {meant:?}", answer.reply));
            }
            match &came[place].1 {
                Ok(answer) => self.answered_ok(&item, answer)?,
                Err(failure) => self.answered_no(&item, failure)?,
            }
        }
        Ok(())
    }

    fn night(&self, flight: &Flight, answer: &Answer, day: jiff::civil::Date) -> Checked {
        let Reply::Night(returned, _) = answer.reply else {
            return broken("a night says what it did", "another answer");
        };
        if returned != flight.changes {
            return broken("a night says what it did", format!("said {returned}, did {}", flight.changes));
        }
        Ok(()).and_then(|()| {
            let left = self.model.transfers.values().any(|sent| sent.on == day && sent.taken.is_none());
            let due = jiff::civil::time(6, 0, 0, 0);
            let over = Moment::of_civil(day.tomorrow().expect("a day"), due).as_micros();
            let began_late = flight.now.is_none_or(|now| now.as_micros() >= over);
            if left && began_late && flight.conflicts == 0 && !flight.away {
                return broken("a night leaves nothing behind", format!("transfers of {day} wait still"));
            }
            Ok(())
        })
    }

    fn answered_no(&self, flight: &Flight, failure: &Failure) -> Checked {
        let effect = flight.made.is_some();
        let no = match failure {
            Failure::Bug(what) => return broken("no call fails by itself", *what),
            Failure::OutcomeUnknown if flight.unknown => return Ok(()),
            // What was done, by this call or by another sending, and cannot be told or be known to stay.
            Failure::OutcomeUnknown if flight.away && (effect || flight.may_repeat()) => return Ok(()),
            Failure::StoreUnavailable if flight.away && !effect => return Ok(()),
            // A torn look is a race lost too, without the store; only the first two attempts run among others.
            Failure::Contention if flight.conflicts + 2 > super::RETRIES && !effect => return Ok(()),
            // Somebody else has gone on with the same close.
            Failure::Contention if matches!(flight.op.what, What::CloseStep { .. }) => return Ok(()),
            Failure::StoreUnavailable | Failure::Contention if effect => {
                return broken("not done is not done", format!("{failure:?} after a change: {:?}", flight.op));
            }
            failure => no_of(failure),
        };
        if effect {
            return broken("not done is not done", format!("{no} after a change: {:?}", flight.op));
        }
        if flight.op.is_job() {
            let fine = match flight.op.what {
                What::ReturnUnclaimed { .. } => no == "INVALID on",
                // A crash has undone its beginning.
                What::CloseStep { .. } => no == "NOT_FOUND YearClose",
                _ => false,
            };
            return if fine { Ok(()) } else { broken("a night says what it did", no) };
        }
        // What rests on the request and the clock alone need not wait until anything is durable.
        let durable = |position: u64| position <= self.durable || no.starts_with("INVALID ");
        let explains = |(position, moment): &(u64, Decided)| matches!(moment, Decided::No(expected) if *expected == no && durable(*position));
        if flight.moments.iter().any(explains) {
            return Ok(());
        }
        let moments: Vec<String> =
            flight.moments.iter().map(|(at, moment)| format!("{at}: {}", shown(moment))).collect();
        broken("a refusal has its reason", format!("{no}, where {moments:#?}\n{:?}", flight.op))
    }
}

/// What a resolution did.
fn name_of(event: &Event) -> &'static str {
    match event {
        Event::Fenced { .. } => "a fence",
        Event::Refunded { .. } => "a settlement reversed",
        Event::HoldEnded { .. } => "a hold let go",
        Event::RefundReversed { .. } => "a refund put back",
        Event::SettlementReversed { .. } => "a settlement noted as reversed",
        _ => "something else",
    }
}

fn shown(moment: &Decided) -> String {
    match moment {
        Decided::Fresh(draft) => format!("{:?}", draft.reply),
        Decided::Look(reply) => format!("look: {reply:?}"),
        Decided::Repeat(reply, position) => format!("repeat of {position}: {reply:?}"),
        Decided::No(no) => no.clone(),
    }
}

fn same(expected: &Reply, answer: &Reply, law: &'static str) -> Checked {
    if expected == answer { Ok(()) } else { broken(law, format!("expected {expected:#?}\nanswered {answer:#?}")) }
}

/// A failure in the auditor's words.
pub fn no_of(failure: &Failure) -> No {
    match failure {
        Failure::Invalid(violations) => {
            let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
            format!("INVALID {}", fields.join(" "))
        }
        Failure::NotFound(thing) => format!("NOT_FOUND {}", named(*thing)),
        Failure::NobodyThere { .. } => format!("NOT_FOUND {}", named(Thing::Member)),
        Failure::RequestIdReused(_) => "REUSED".to_owned(),
        Failure::MemberExists => "MEMBER_EXISTS".to_owned(),
        Failure::Refused(reasons) => super::model::refused(reasons),
        Failure::EvidenceMissing(missing) => format!("EVIDENCE {missing:?}"),
        Failure::QuoteStale(_) => "QUOTE_STALE".to_owned(),
        other => format!("{other:?}"),
    }
}

fn named(thing: Thing) -> String {
    format!("{thing:?}")
}

/// The clock of a run.
pub struct StageClock(pub Arc<Stage>);

impl Clock for StageClock {
    fn now(&self) -> Moment {
        self.0.state().tell_time()
    }
}

/// The names of a run: each once.
pub struct StageIds(pub Arc<Stage>);

impl Ids for StageIds {
    fn next(&self, _: Moment) -> u128 {
        let mut state = self.0.state();
        state.ids += 1;
        let id = state.ids;
        // The first is the call's own; those of changes on its way name nothing.
        if let Some(flight) = state.flight() {
            flight.id = if flight.id == 0 { id } else { flight.id };
            if !flight.items.is_empty() {
                flight.ids.push(id);
            }
        }
        id
    }

    fn salt(&self) -> [u8; 16] {
        [7; 16]
    }
}

impl Flight {
    /// Whether the work might have been there already when it looked.
    fn may_repeat(&self) -> bool {
        self.moments.iter().any(|(_, moment)| matches!(moment, Decided::Repeat(..)))
    }

    pub fn new(op: Arc<Op>, keys: &fingerprint::Keys) -> Self {
        let items = match &op.what {
            What::Many(_, items) => items.iter().map(|item| Self::new(item.clone(), keys)).collect(),
            _ => Vec::new(),
        };
        let request = RequestId::parse(&op.id).expect("a request id");
        Self {
            request: Key::Request(keys.request(&op.scope(), &request)),
            op,
            id: 0,
            now: None,
            told: Vec::new(),
            began_at: 0,
            moments: Vec::new(),
            loaded: Vec::new(),
            items,
            ids: Vec::new(),
            made: None,
            changes: 0,
            conflicts: 0,
            away: false,
            unknown: false,
            is_item: false,
        }
    }

    /// The item whose request a change records.
    fn item_of(&self, change: &Change) -> Option<usize> {
        self.items.iter().position(|item| change.puts.iter().any(|(key, _)| *key == item.request))
    }

    /// What a client can know of a reply: an item's comes by the wire.
    fn shown(&self, reply: &Reply) -> Reply {
        if self.is_item { on_the_wire(reply) } else { reply.clone() }
    }
}
