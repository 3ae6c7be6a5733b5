//! `RecordCertification`: a person proves to be alive and entitled, by a channel, perhaps through somebody else; the result may
//! come later.

use std::sync::Arc;

use jiff::civil::Date;

use super::failure::Failure;
use super::fingerprint::Fingerprint;
use super::reading::Reading;
use super::{Caller, Command, Fresh, Ledger, Plan};
use crate::domain::calc::certification::{Days, Since, counts, days, open};
use crate::domain::calc::law::Law;
use crate::domain::calc::words::{CertificationChannel, CertificationState, Precondition};
use crate::domain::certification::{Certification, may_begin, may_move};
use crate::domain::ids::{CertificationId, MemberId, RegionCode, RequestId};
use crate::domain::member::MemberRef;
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::domain::time::Moment;
use crate::store::{Entity, Key};

/// See the module. With `id` it moves that certification on, without it begins one.
#[derive(Clone, Debug)]
pub struct RecordCertification {
    pub caller: Caller,
    pub request_id: RequestId,
    pub member: MemberRef,
    pub id: Option<CertificationId>,
    /// Required without `id`.
    pub channel: Option<CertificationChannel>,
    pub by_proxy: bool,
    pub dependant: bool,
    pub met: Vec<Precondition>,
    /// The first payment, for somebody never certified before.
    pub first_paid: Option<Date>,
    pub state: CertificationState,
}

/// A certification with the days of the next one.
#[derive(Clone, Debug)]
pub struct CertificationView {
    pub certification: Certification,
    /// None before the first one that passed.
    pub next: Option<Days>,
    /// The day on which this was read.
    pub today: Date,
}

impl Ledger {
    fn certification_law(&self, region: RegionCode, on: Date) -> Result<Law<'_>, Failure> {
        self.book.calculation.law(region, on).ok_or(Failure::Bug("a member's region has no calculation tables"))
    }

    /// The view of a certification on a day, by the cycle of the person's region.
    pub fn certification_view(
        &self,
        certification: Certification,
        region: RegionCode,
        today: Date,
    ) -> Result<CertificationView, Failure> {
        let law = self.certification_law(region, today)?;
        let cycle = law.certification_cycle().ok();
        let since = certification.last_passed.map(Since::Certified);
        let next = cycle.zip(since).map(|(cycle, since)| days(cycle, since, certification.dependant));
        Ok(CertificationView { certification, next, today })
    }

    /// A person's latest certification.
    pub async fn certification(&self, id: MemberId, region: RegionCode) -> Result<Option<CertificationView>, Failure> {
        let key = Key::Certification(id);
        let mut reading = Reading::new(self.store());
        reading.get(&[key]).await?;
        self.store().wait_durable(reading.read_at()).await?;
        let found = reading.certification(&key)?.cloned();
        found.map(|found| self.certification_view(found, region, self.now().civil_day())).transpose()
    }
}

impl RecordCertification {
    /// A new certification by a channel that is open to the person.
    fn begin(
        &self,
        law: &Law<'_>,
        before: Option<&Certification>,
        id: u128,
        member: MemberId,
    ) -> Result<Certification, Failure> {
        let channel =
            self.channel.ok_or_else(|| Failure::invalid("channel", "is required without certification_id"))?;
        let ways = law.certification_ways().map_err(|_| Failure::refused(Reason::CertificationChannelNotOffered))?;
        let mut reasons = open(ways, channel, &self.met, self.by_proxy);
        let way = ways.iter().find(|way| way.channel == channel);
        if way.is_some_and(|way| !may_begin(way.result, self.state)) {
            reasons.push(Reason::CertificationNotOpen);
        }
        if !reasons.is_empty() {
            return Err(Failure::Refused(reasons));
        }
        Ok(Certification {
            id: CertificationId::from_u128(id),
            member,
            channel,
            by_proxy: self.by_proxy,
            dependant: self.dependant,
            state: self.state,
            began: law.on,
            ended: None,
            last_passed: before.and_then(|before| before.last_passed),
            resumed_from: None,
        })
    }

    /// The person's open certification, one state further.
    fn move_on(&self, id: CertificationId, before: Option<&Certification>) -> Result<Certification, Failure> {
        if self.channel.is_some() {
            return Err(Failure::invalid("channel", "must be left out with certification_id"));
        }
        let known = before.filter(|before| before.id == id && before.is_open() && may_move(before.state, self.state));
        let known = known.ok_or_else(|| Failure::refused(Reason::CertificationNotOpen))?;
        Ok(Certification { state: self.state, ..known.clone() })
    }
}

impl Command for RecordCertification {
    type Outcome = CertificationView;
    const METHOD: u8 = 60;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields
            .person("member", &self.member)
            .field("certification_id", &self.id)
            .field("channel", &self.channel)
            .field("by_proxy", &self.by_proxy)
            .field("dependant", &self.dependant)
            .field("met", &self.met)
            .field("first_paid_date", &self.first_paid)
            .field("state", &self.state);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<CertificationView>, Failure> {
        let today = now.civil_day();
        if self.first_paid.is_some_and(|day| day > today) {
            return Err(Failure::invalid("first_paid_date", "lies after today"));
        }
        let member = ledger.resolve(reading, &self.member).await?;
        let key = Key::Certification(member);
        reading.get(&[Key::Standing(member), key]).await?;
        let region = reading.member(member)?.insurance.region;
        let law = ledger.certification_law(region, today)?;
        let before = reading.certification(&key)?;
        let mut certification = match self.id {
            None => self.begin(&law, before, fresh.id, member)?,
            Some(id) => self.move_on(id, before)?,
        };
        if !certification.is_open() {
            certification.ended = Some(today);
        }
        if certification.state == CertificationState::Passed {
            let since = certification.last_passed.map(Since::Certified).or(self.first_paid.map(Since::FirstPaid));
            let cycle = law.certification_cycle().ok().zip(since);
            let dependant = certification.dependant;
            let due = cycle.map(|(cycle, since)| days(cycle, since, dependant));
            // Late: payment had stopped on the day after, and is made good from there.
            certification.resumed_from = due.filter(|days| today > days.due).and_then(|days| days.due.tomorrow().ok());
            if cycle.is_none_or(|(cycle, since)| counts(cycle, since, dependant, today)) {
                certification.last_passed = Some(today);
            }
        }
        let puts = vec![(key, Entity::Certification(Arc::new(certification.clone())))];
        let event = Event::CertificationRecorded { certification: certification.clone() };
        let record = Record { event, postings: Vec::new() };
        let outcome = ledger.certification_view(certification.clone(), region, told_on(&certification))?;
        Ok(Plan { record, puts, lists: Vec::new(), outcome })
    }

    async fn replay(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        _: [u8; 16],
    ) -> Result<CertificationView, Failure> {
        let Event::CertificationRecorded { certification } = record.event else {
            return Err(Failure::Bug("a certification request made another record"));
        };
        let member = certification.member;
        reading.get(&[Key::Standing(member)]).await?;
        let region = reading.member(member)?.insurance.region;
        let on = told_on(&certification);
        ledger.certification_view(certification, region, on)
    }
}

/// The day as of which a change is answered: the same for a repeat as for the first.
fn told_on(certification: &Certification) -> Date {
    certification.ended.unwrap_or(certification.began)
}
