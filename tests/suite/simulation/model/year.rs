//! The auditor's view of the close of a year: of one account, and of a region's, account by account.

use gongji::domain::ids::{MemberId, RegionCode};
use gongji::domain::posting::Party;
use gongji::domain::reason::Reason;
use gongji::domain::vocabulary::{Bucket, InterestBasis};
use gongji::store::ListKind;
use jiff::civil::{Date, date};

use super::split::share;
use super::{Closing, Draft, Model, No, Of, refused};
use crate::simulation::op::{Named, Reply};
use crate::simulation::world::World;

impl Model {
    pub(super) fn close_account(
        &self,
        world: &World,
        who: Named,
        year: i16,
        only_in: Option<RegionCode>,
        today: Date,
    ) -> Result<Draft, No> {
        if year >= today.year() {
            return Err(refused(&[Reason::YearNotOver]));
        }
        let id = self.find(who)?;
        let region = self.who[&id].insurance.region;
        let nothing = || refused(&[Reason::YearNothingToClose]);
        if only_in.is_some_and(|only| only != region) {
            return Err(nothing());
        }
        if self.who[&id].purse.is_none() {
            return Err("NOT_FOUND Account".to_owned());
        }
        let mut draft = Draft::new();
        let changed = self.changed(&mut draft, id);
        changed.turn(today);
        let [mut current, mut prior] = changed.ended.remove(&year).ok_or_else(nothing)?;
        for binding in &self.who[&id].wards {
            let Some(mut quota) = self.live_quota(*binding, today) else { continue };
            let [of_year, before] = quota.ended.remove(&year).unwrap_or_default();
            (current, prior) = (current + of_year, prior + before);
            draft.quotas.insert(*binding, quota);
        }
        let interest = world.rules(region, date(year, 12, 31)).year_interest.as_ref().map_or(0, |rule| {
            let on_current = match rule.basis {
                InterestBasis::YearEndBalance => share(current, rule.current_rate, rule.rounding),
                InterestBasis::PriorYearsBalance => 0,
            };
            on_current + share(prior, rule.prior_rate, rule.rounding)
        });
        let purse = self.change_purse(&mut draft, id, Bucket::PriorYears, interest, today);
        draft.moved(Party::Interest(region), Party::Bucket(id, Bucket::PriorYears), interest);
        draft.entry(id, 0);
        draft.reply = Reply::Closed { id, purse, ended: [current, prior], interest };
        draft.closed = only_in.map(|only| ((only, year, id), interest));
        Ok(draft)
    }

    pub(super) fn begin_close(&self, region: RegionCode, year: i16, today: Date) -> Result<Draft, No> {
        if year >= today.year() {
            return Err(refused(&[Reason::YearNotOver]));
        }
        let before = self.closes.get(&(region, year));
        if before.is_some_and(|close| close.is_open) {
            return Err(refused(&[Reason::YearCloseRunning]));
        }
        let round = before.map_or(1, |close| close.round + 1);
        // Up to where it goes is what the ledger held when it was decided; `begun_until` looks at that.
        let close = Closing { round, is_open: true, ..Closing::default() };
        let mut draft = Draft { reply: Reply::CloseBegun { round }, ..Draft::new() };
        let subject = u128::from(region.as_u32()) << 16 | u128::from(year.cast_unsigned());
        draft.rows.push((ListKind::YearCloses, Of::Id(0), subject));
        draft.close = Some(((region, year), close));
        Ok(draft)
    }

    /// Members whose rows lie in this part of the list, each once.
    fn rows(&self, region: RegionCode, after: u64, until: u64) -> Vec<MemberId> {
        let rows = self.insured.get(&region).into_iter().flatten();
        let mut members: Vec<MemberId> =
            rows.filter(|(at, _)| after < *at && *at <= until).map(|(_, member)| *member).collect();
        members.sort();
        members.dedup();
        members
    }

    /// A step of a region's close: what it counted is what was done, and it passed over nobody.
    pub(super) fn advance(&self, region: RegionCode, year: i16, to: Closing) -> Result<Draft, No> {
        let stands = self.closes.get(&(region, year)).filter(|close| close.is_open).ok_or("nothing is being closed")?;
        if (to.round, to.until) != (stands.round, stands.until) || to.after < stands.after || to.after > to.until {
            return Err(format!("{to:?} after {stands:?}"));
        }
        let looked_at = self.rows(region, stands.after, to.after);
        let mut tally = stands.tally;
        for member in &looked_at {
            // Steps are of any size, so one that was broken off may have gone further than those after it.
            let stood = self.rows(region, 0, stands.after).contains(member);
            let since = if stood { stands.noted_at } else { stands.began_at };
            let done = self.closed.get(&(region, year, *member)).filter(|(at, _)| *at > since);
            let waits =
                self.who[member].ended.contains_key(&year) || self.who[member].purse.is_some_and(|p| p.0 <= year);
            let stayed = self.who[member].insurance.region == region && self.who[member].moved_at <= stands.began_at;
            match done {
                Some((_, interest)) => {
                    tally[0] += 1;
                    tally[3] += interest;
                }
                None if waits && stayed => return Err(format!("{member} was passed over")),
                None => tally[1] += 1,
            }
        }
        if tally != to.tally {
            return Err(format!("told {:?} where {tally:?} were", to.tally));
        }
        let close = Closing { began_at: stands.began_at, ..to };
        Ok(Draft { close: Some(((region, year), close)), ..Draft::new() })
    }
}
