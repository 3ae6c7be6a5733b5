//! Is there an order of the calls, each taking effect at one instant between its beginning and its end, in which every answer
//! is right? Wing and Gong's search with the memory of Lowe: a state that was reached before by the same calls leads nowhere.
//! A call whose outcome nobody heard may take effect at any time after its beginning, or never.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// What the service does, one call after another.
pub trait Model: Clone + Eq + Hash {
    type Call: Debug + PartialEq;
    type Answer: Debug;

    /// The state after the call, if it may be answered so; `None` for an answer: after whatever it was answered.
    fn step(&self, call: &Self::Call, answer: Option<&Self::Answer>) -> Option<Self>;
}

/// One call: when it began and ended, in ticks that are all different.
#[derive(Clone, Debug)]
pub struct Op<C, A> {
    pub call: C,
    pub began: u64,
    /// When it was answered, and what. None: nobody heard.
    pub ended: Option<(u64, A)>,
}

/// States looked at before the search is given up: a history that nothing explains may have very many.
const STATES_MAX: usize = 1_000_000;

/// The longest prefix of calls that could be put in order, for whoever has to find out why.
#[derive(Debug, PartialEq, Eq)]
pub struct Stuck(pub String);

pub fn check<M: Model>(start: &M, ops: &[Op<M::Call, M::Answer>]) -> Result<(), Stuck> {
    let mut search =
        Search { ops, done: vec![0; ops.len().div_ceil(64)], seen: HashSet::new(), best: (0, String::new()) };
    if search.go(start, 0) { Ok(()) } else { Err(Stuck(search.best.1)) }
}

struct Search<'a, M: Model> {
    ops: &'a [Op<M::Call, M::Answer>],
    done: Vec<u64>,
    seen: HashSet<(Vec<u64>, M)>,
    best: (usize, String),
}

impl<M: Model> Search<'_, M> {
    fn is_done(&self, place: usize) -> bool {
        self.done[place / 64] >> (place % 64) & 1 == 1
    }

    /// Whether the calls that are left can be put in order after those taken, which led to this state.
    fn go(&mut self, state: &M, taken: usize) -> bool {
        let mut left: Vec<usize> = (0..self.ops.len()).filter(|place| !self.is_done(*place)).collect();
        // Those that had to be answered soonest are tried first, those that perhaps never happened last.
        left.sort_by_key(|place| {
            let op = &self.ops[*place];
            (op.ended.as_ref().map_or(u64::MAX, |(ended, _)| *ended), op.began)
        });
        let ends = left.iter().filter_map(|place| self.ops[*place].ended.as_ref().map(|(ended, _)| *ended));
        // Whatever began after an answer comes after what was answered.
        let Some(first_end) = ends.min() else { return true };
        if taken >= self.best.0 {
            let open: Vec<_> = left.iter().map(|place| &self.ops[*place]).filter(|op| op.began < first_end).collect();
            self.best = (taken, format!("{taken} calls in order, then none of these fits: {open:#?}"));
        }
        for &place in &left {
            if self.seen.len() >= STATES_MAX {
                self.best.1 = format!("given up after {STATES_MAX} states, {taken} calls in order");
                return false;
            }
            let op = &self.ops[place];
            if op.began > first_end {
                continue;
            }
            // Of equal calls that nobody heard of, the one that began first does as well as any other.
            let like = |other: &usize| self.ops[*other].ended.is_none() && self.ops[*other].call == op.call;
            if op.ended.is_none() && left.iter().take_while(|other| **other != place).any(like) {
                continue;
            }
            let Some(next) = state.step(&op.call, op.ended.as_ref().map(|(_, answer)| answer)) else { continue };
            // What changes nothing and nobody heard of need never have happened.
            if op.ended.is_none() && next == *state {
                continue;
            }
            self.done[place / 64] |= 1 << (place % 64);
            if self.seen.insert((self.done.clone(), next.clone())) && self.go(&next, taken + 1) {
                return true;
            }
            self.done[place / 64] &= !(1 << (place % 64));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register: `Write` sets it, `Add` adds and answers with the sum, `Read` answers with what is there.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Call {
        Write(i32),
        Add(i32),
        Read,
    }

    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Register(i32);

    impl Model for Register {
        type Call = Call;
        type Answer = i32;
        fn step(&self, call: &Call, answer: Option<&i32>) -> Option<Self> {
            let next = match call {
                Call::Write(value) => return Some(Self(*value)),
                Call::Add(by) => self.0 + by,
                Call::Read => self.0,
            };
            answer.is_none_or(|answer| *answer == next).then_some(Self(next))
        }
    }

    fn op(began: u64, ended: u64, call: Call, answer: i32) -> Op<Call, i32> {
        Op { call, began, ended: Some((ended, answer)) }
    }

    fn lost(began: u64, call: Call) -> Op<Call, i32> {
        Op { call, began, ended: None }
    }

    /// A name, whether there is an order, and the calls.
    type Row = (&'static str, bool, Vec<Op<Call, i32>>);

    #[test]
    fn histories_that_have_an_order_and_that_have_none() {
        use Call::{Add, Read, Write};
        let rows: [Row; 16] = [
            ("nothing", true, vec![]),
            ("one after another", true, vec![op(1, 2, Write(5), 0), op(3, 4, Read, 5)]),
            ("a stale read", false, vec![op(1, 2, Write(5), 0), op(3, 4, Read, 0)]),
            ("a read of what was never written", false, vec![op(1, 2, Read, 7)]),
            ("a read beside a write, of before", true, vec![op(1, 4, Write(5), 0), op(2, 3, Read, 0)]),
            ("a read beside a write, of after", true, vec![op(1, 4, Write(5), 0), op(2, 3, Read, 5)]),
            (
                "two reads beside a write that go back",
                false,
                vec![op(1, 8, Write(5), 0), op(2, 3, Read, 5), op(4, 5, Read, 0)],
            ),
            (
                "two reads side by side that differ",
                true,
                vec![op(1, 8, Write(5), 0), op(2, 6, Read, 5), op(3, 5, Read, 0)],
            ),
            ("both additions count", true, vec![op(1, 4, Add(1), 1), op(2, 3, Add(1), 2), op(5, 6, Read, 2)]),
            ("a lost update", false, vec![op(1, 4, Add(1), 1), op(2, 3, Add(1), 1), op(5, 6, Read, 1)]),
            ("one addition twice", false, vec![op(1, 2, Add(1), 1), op(3, 4, Read, 2)]),
            ("nobody heard and it happened", true, vec![lost(1, Write(5)), op(2, 3, Read, 5)]),
            ("nobody heard and it did not happen", true, vec![lost(1, Write(5)), op(2, 3, Read, 0)]),
            ("nobody heard and it happened late", true, vec![lost(1, Write(5)), op(2, 3, Read, 0), op(4, 5, Read, 5)]),
            (
                "nobody heard, it happened and was undone",
                false,
                vec![lost(1, Write(5)), op(2, 3, Read, 5), op(4, 5, Read, 0)],
            ),
            ("it happened before it was asked for", false, vec![op(1, 2, Read, 5), lost(3, Write(5))]),
        ];
        for (name, expected, ops) in rows {
            for turn in 0..ops.len().max(1) {
                // The order in which calls are listed says nothing.
                let mut ops = ops.clone();
                ops.rotate_left(turn);
                assert_eq!(check(&Register(0), &ops).is_ok(), expected, "{name}");
            }
        }
    }

    #[test]
    fn many_calls_at_once_are_no_explosion() {
        // Forty additions side by side, answered in an order that only one permutation explains.
        let ops: Vec<_> = (0..40).map(|n| op(n, 100 + n, Call::Add(1), 40 - n as i32)).collect();
        assert_eq!(check(&Register(0), &ops), Ok(()));
        // And those that nobody heard of, which may all have happened or not.
        let unheard = (0..40).map(|n| lost(n, Call::Add(1)));
        let late: Vec<_> = unheard.chain((0..20).map(|n| op(200 + n, 300 + n, Call::Read, 20))).collect();
        assert_eq!(check(&Register(0), &late), Ok(()));
        let mut wrong = ops;
        wrong[0].ended = Some((100, 41));
        assert!(check(&Register(0), &wrong).is_err());
    }
}
