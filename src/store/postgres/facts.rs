//! Looks at facts: those of many calls are one statement, and what they lead to is a second one of the same snapshot.

use std::collections::BTreeMap;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

use super::answer::Failed;
use super::cell::{self, Cell};
use super::cells;
use super::names::Names;
use super::session::Session;
use super::tables::{self, HEAD, LEADING, LED_TO, Wanted, place_of};
use crate::store::codec::DecodeError;
use crate::store::{Entity, Fact, Facts, Key};

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What a call wants to see.
pub(super) struct Look<'a> {
    pub keys: &'a [Key],
    /// Also what these lead to.
    pub ahead: bool,
}

/// What was found for a look: a fact for each key, and behind them what these lead to.
struct Found {
    facts: Vec<Fact>,
    /// Bytes that cannot be read.
    damage: Option<DecodeError>,
}

/// Keys of many looks, by kind.
#[derive(Default)]
struct Round {
    kinds: BTreeMap<usize, Kind>,
    /// References whose members are looked at too, and whose they are.
    leading: Vec<Cell>,
    leading_for: Vec<(usize, usize)>,
}

#[derive(Default)]
struct Kind {
    /// The parts of the keys, one array for each column of the natural key.
    columns: Vec<Vec<Cell>>,
    /// Whose each key is: look, and place among its facts.
    whose: Vec<(usize, usize)>,
}

fn absent(key: Key) -> Fact {
    Fact { key, version: 0, entity: None }
}

/// The facts of all looks, as of one moment.
pub(super) async fn look(
    session: &mut Session,
    looks: &[Look<'_>],
    names: &Names,
) -> Result<Vec<Result<Facts, DecodeError>>, Failed> {
    let mut found = Vec::with_capacity(looks.len());
    let mut first = Round::default();
    for (number, look) in looks.iter().enumerate() {
        found.push(Found { facts: look.keys.iter().copied().map(absent).collect(), damage: None });
        for (place, key) in look.keys.iter().enumerate() {
            if let (true, Key::Reference(hash)) = (look.ahead, key) {
                first.leading.push(Cell::Hash(*hash));
                first.leading_for.push((number, place));
            } else {
                first.add(number, place, key);
            }
        }
    }
    let ahead = looks.iter().any(|look| look.ahead);
    let wanted = if first.leading.is_empty() { Wanted::Facts } else { Wanted::FactsAhead };
    let statement = session.prepared(&first.sql(wanted).into()).await?;
    let head = match ahead {
        false => first.read(&first.ask(&session.client, &statement).await?, &mut found)?,
        true => {
            let read = look_ahead(session, looks, (&first, &statement), &mut found).await;
            if read.is_err() {
                // Whatever the matter is, the session must not stay in a transaction.
                let _ = session.client.batch_execute("ROLLBACK").await;
            }
            read?
        }
    };
    for fact in found.iter().flat_map(|found| &found.facts) {
        if let Some(Entity::Standing(standing)) = &fact.entity {
            names.note(standing.member.id, fact.version, &standing.masked_name);
        }
    }
    let told = |found: Found| match found.damage {
        None => Ok(Facts { began_at: head, read_at: head, facts: found.facts }),
        Some(damage) => Err(damage),
    };
    Ok(found.into_iter().map(told).collect())
}

/// Two statements in one transaction, and so of one moment. Returns where the ledger stands.
async fn look_ahead(
    session: &mut Session,
    looks: &[Look<'_>],
    (first, statement): (&Round, &Statement),
    found: &mut [Found],
) -> Result<u64, Failed> {
    let begin = session.client.batch_execute(BEGIN);
    let (begun, rows) = tokio::join!(biased; begin, first.ask(&session.client, statement));
    begun?;
    let head = first.read(&rows?, found)?;
    let mut second = Round::default();
    let ahead = looks.iter().zip(found.iter_mut()).enumerate().filter(|(_, (look, _))| look.ahead);
    for (number, (_, found)) in ahead {
        for key in relatives(&found.facts) {
            if found.facts.iter().all(|fact| fact.key != key) {
                second.add(number, found.facts.len(), &key);
                found.facts.push(absent(key));
            }
        }
    }
    if second.kinds.is_empty() {
        session.client.batch_execute("COMMIT").await?;
        return Ok(head);
    }
    let statement = session.prepared(&second.sql(Wanted::Facts).into()).await?;
    let commit = session.client.batch_execute("COMMIT");
    let (rows, ended) = tokio::join!(biased; second.ask(&session.client, &statement), commit);
    ended?;
    second.read(&rows?, found)?;
    Ok(head)
}

/// The standings of those who may pay for the members whose standings these are.
fn relatives(facts: &[Fact]) -> Vec<Key> {
    let mut keys = Vec::new();
    for fact in facts {
        if let Some(Entity::Standing(standing)) = &fact.entity {
            keys.extend(standing.family.ties.iter().map(|tie| Key::Standing(tie.owner)));
        }
    }
    keys
}

impl Round {
    fn add(&mut self, look: usize, place: usize, key: &Key) {
        let (table, cells) = place_of(key);
        let kind = self.kinds.entry(table).or_default();
        kind.columns.resize_with(cells.len(), Vec::new);
        for (column, cell) in kind.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        kind.whose.push((look, place));
    }

    fn sql(&self, wanted: Wanted) -> String {
        let kinds: Vec<usize> = self.kinds.keys().copied().collect();
        tables::look(&kinds, wanted)
    }

    async fn ask(&self, client: &Client, statement: &Statement) -> Result<Vec<Row>, Error> {
        let columns = self.kinds.values().flat_map(|kind| &kind.columns);
        let leading = Some(&self.leading).filter(|leading| !leading.is_empty());
        let params: Vec<&(dyn ToSql + Sync)> =
            columns.chain(leading).map(|column| column as &(dyn ToSql + Sync)).collect();
        client.query(statement, &params).await
    }

    /// Puts what was found where it belongs. Returns where the ledger stands.
    fn read(&self, rows: &[Row], found: &mut [Found]) -> Result<u64, Failed> {
        let mut head = None;
        for row in rows {
            let (kind, ord, version) = (cell::small(row, 0)?, cell::number(row, 1)?, cell::number(row, 2)?);
            if kind == HEAD {
                head = Some(version);
                continue;
            }
            let ord = usize::try_from(ord).ok().and_then(|ord| ord.checked_sub(1)).ok_or(Failed::Shape)?;
            let whose = match usize::try_from(kind) {
                Ok(kind) => self.kinds.get(&kind).map(|kind| &kind.whose),
                Err(_) if kind == LEADING || kind == LED_TO => Some(&self.leading_for),
                Err(_) => None,
            };
            let (look, place) = *whose.and_then(|whose| whose.get(ord)).ok_or(Failed::Shape)?;
            let found = found.get_mut(look).ok_or(Failed::Shape)?;
            match cells::entity(cell::bytes(row, 3)?, cell::text(row, 4)?) {
                Err(damage) => found.damage = Some(damage),
                Ok(entity) if kind == LED_TO => found.led_to(version, entity)?,
                Ok(entity) => {
                    let fact = found.facts.get_mut(place).ok_or(Failed::Shape)?;
                    (fact.version, fact.entity) = (version, Some(entity));
                }
            }
        }
        head.ok_or(Failed::Shape)
    }
}

impl Found {
    /// Takes a standing in that nobody asked for, unless it was asked for too.
    fn led_to(&mut self, version: u64, entity: Entity) -> Result<(), Failed> {
        let Entity::Standing(standing) = &entity else { return Err(Failed::Shape) };
        let key = Key::Standing(standing.member.id);
        if self.facts.iter().all(|fact| fact.key != key) {
            self.facts.push(Fact { key, version, entity: Some(entity) });
        }
        Ok(())
    }
}
