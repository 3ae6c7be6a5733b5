//! The rows of one list. Most lists are short and most of those have one row; a few, such as an institution's, grow without
//! end and are never copied as a whole.

use crate::store::ListRow;

/// Rows up to which a list is one piece, and of every piece of a longer one.
const PIECE: usize = 512;

/// A row without the room that an aligned id takes.
#[derive(Clone, Copy)]
pub(super) struct Row {
    position: u64,
    subject: [u8; 16],
}

impl From<&Row> for ListRow {
    fn from(row: &Row) -> Self {
        Self { position: row.position, subject: u128::from_be_bytes(row.subject) }
    }
}

/// See the module. Never empty.
pub(super) enum Rows {
    One(Row),
    Few(Vec<Row>),
    Long(Box<Long>),
}

pub(super) struct Long {
    full: Vec<Box<[Row]>>,
    last: Vec<Row>,
}

impl Rows {
    pub fn new(row: ListRow) -> Self {
        Self::One(Row { position: row.position, subject: row.subject.to_be_bytes() })
    }

    /// Adds a row at the end; one a position: the last one given stays.
    pub fn push(&mut self, row: ListRow) {
        let row = Row { position: row.position, subject: row.subject.to_be_bytes() };
        let last = self.last_mut();
        if last.position == row.position {
            *last = row;
            return;
        }
        match self {
            Self::One(first) => {
                let mut rows = Vec::with_capacity(2);
                rows.extend([*first, row]);
                *self = Self::Few(rows);
            }
            Self::Few(rows) if rows.len() < PIECE => {
                if rows.len() == rows.capacity() {
                    // By half and not twofold: most stop growing soon.
                    rows.reserve_exact((rows.len() / 2 + 1).min(PIECE - rows.len()));
                }
                rows.push(row);
            }
            Self::Few(rows) => {
                let mut long = Long { full: vec![std::mem::take(rows).into()], last: Vec::with_capacity(PIECE) };
                long.last.push(row);
                *self = Self::Long(Box::new(long));
            }
            Self::Long(long) => {
                if long.last.len() == PIECE {
                    let full = std::mem::replace(&mut long.last, Vec::with_capacity(PIECE));
                    long.full.push(full.into());
                }
                long.last.push(row);
            }
        }
    }

    fn last_mut(&mut self) -> &mut Row {
        let last = match self {
            Self::One(row) => Some(row),
            Self::Few(rows) => rows.last_mut(),
            Self::Long(long) => long.last.last_mut(),
        };
        last.expect("a list has a row from the start")
    }

    /// Where its last row stands: what a push looks at.
    pub fn end(&self) -> u64 {
        let last = match self {
            Self::One(row) => Some(row),
            Self::Few(rows) => rows.last(),
            Self::Long(long) => long.last.last(),
        };
        last.map_or(0, |row| row.position)
    }

    /// The rows after a position, in order.
    pub fn after(&self, position: u64) -> impl Iterator<Item = ListRow> + '_ {
        let (full, last): (&[Box<[Row]>], &[Row]) = match self {
            Self::One(row) => (&[], std::slice::from_ref(row)),
            Self::Few(rows) => (&[], rows),
            Self::Long(long) => (&long.full, &long.last),
        };
        let before = full.partition_point(|piece| piece.last().is_some_and(|row| row.position <= position));
        let pieces = full[before..].iter().map(|piece| &**piece).chain([last]);
        pieces.flat_map(move |piece| &piece[piece.partition_point(|row| row.position <= position)..]).map(ListRow::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order_however_many_there_are() {
        let row = |position: usize| ListRow { position: 3 * position as u64, subject: (position as u128) << 70 };
        for count in [1, 2, 3, 4, 9, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1, 5 * PIECE + 7] {
            let mut rows = Rows::new(ListRow { position: 3, subject: 99 });
            for position in 1..=count {
                rows.push(ListRow { subject: 5, ..row(position) });
                rows.push(row(position));
            }
            let all: Vec<ListRow> = (1..=count).map(row).collect();
            assert_eq!(rows.after(0).collect::<Vec<_>>(), all, "{count}");
            assert_eq!(rows.end(), 3 * count as u64);
            for after in [1, 2, 3, 4, 3 * count as u64 / 2, 3 * PIECE as u64, 3 * PIECE as u64 + 1, 3 * count as u64] {
                let left: Vec<ListRow> = all.iter().filter(|row| row.position > after).copied().collect();
                assert_eq!(rows.after(after).collect::<Vec<_>>(), left, "{count} after {after}");
            }
        }
    }

    #[test]
    fn a_list_of_one_row_takes_no_place_of_its_own() {
        assert_eq!(size_of::<Rows>(), 32);
    }
}
