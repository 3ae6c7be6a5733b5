//! A store around another: a test writes what it bends, all else passes through.

use std::ops::Deref;

use gongji::domain::time::Moment;
use gongji::domain::wording::Wording;
use gongji::store::{
    Change, CommitError, Committed, Facts, Head, Key, ListKey, ListRow, Store, StoreError, StoreFuture, StoredRecord,
};

/// What is other than in the store within.
pub trait Around: Send + Sync + 'static {
    fn inner(&self) -> &dyn Store;

    fn load<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        self.inner().load(keys)
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        self.inner().commit(changes, now)
    }

    fn wait_durable(&self, position: u64) -> StoreFuture<'_, Result<(), StoreError>> {
        self.inner().wait_durable(position)
    }

    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        self.inner().records(from, limit)
    }

    fn archives(&self) -> bool {
        self.inner().archives()
    }

    fn wording(&self) -> Wording {
        self.inner().wording()
    }
}

/// The store that it makes.
pub struct Wrapped<A>(pub A);

impl<A> Deref for Wrapped<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.0
    }
}

impl<A: Around> Store for Wrapped<A> {
    fn kind(&self) -> &'static str {
        self.0.inner().kind()
    }

    fn secret(&self) -> [u8; 32] {
        self.0.inner().secret()
    }

    fn load<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        self.0.load(keys)
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        self.0.commit(changes, now)
    }

    fn wait_durable(&self, position: u64) -> StoreFuture<'_, Result<(), StoreError>> {
        self.0.wait_durable(position)
    }

    fn head(&self) -> StoreFuture<'_, Result<Head, StoreError>> {
        self.0.inner().head()
    }

    fn clock(&self) -> StoreFuture<'_, Result<Option<Moment>, StoreError>> {
        self.0.inner().clock()
    }

    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        self.0.records(from, limit)
    }

    fn archives(&self) -> bool {
        self.0.archives()
    }

    fn wording(&self) -> Wording {
        self.0.wording()
    }

    fn list(
        &self,
        key: ListKey,
        after: u64,
        until: u64,
        limit: usize,
    ) -> StoreFuture<'_, Result<Vec<ListRow>, StoreError>> {
        self.0.inner().list(key, after, until, limit)
    }

    fn close(&self) -> StoreFuture<'_, Result<(), StoreError>> {
        self.0.inner().close()
    }
}
