//! Deleting idempotency keys that have expired.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    domain::Clock,
    store::{Store, StoreError},
};

/// How long after the start the first deletion is, so that starting is not slowed.
pub const FIRST_AFTER: Duration = Duration::from_mins(1);
/// How long after one deletion the next one is.
pub const EVERY: Duration = Duration::from_mins(5);
/// A statement that deletes fewer than these was the last: the store deletes some hundreds at a time while there are as many.
const FEW: u64 = 100;
/// How long writers have the database to themselves between two statements.
const PAUSE: Duration = Duration::from_millis(50);

/// Deletes all that have expired by now.
///
/// # Errors
/// Those of the store. Nothing but room depends on it: the next time deletes what is left.
pub async fn expire(store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
    loop {
        let count = store.expire_idempotency_keys(clock.now()).await?;
        tracing::debug!(count, "deleted expired idempotency keys");
        if count < FEW {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use std::sync::Arc;

    use super::*;
    use crate::{
        domain::{
            Actor, ChangeContext, Colour, IdSource, Idempotency, IdempotencyKey, KeyId, Name, NewStatus,
            Note, Organization, OrganizationId, StatusClass, StatusKey, StatusPatch, SystemIds, Timestamp,
        },
        store::{IDEMPOTENCY_TTL, connect, schema::OnOlderSchema},
    };

    struct StandingClock(Timestamp);

    impl Clock for StandingClock {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    /// More than any store deletes at once.
    const MANY: usize = 1_100;
    const EARLY: Timestamp = Timestamp::UNIX_EPOCH;

    fn key() -> StatusKey {
        StatusKey::parse("LOOKED_AT").unwrap()
    }

    fn change(number: usize, at: Timestamp) -> ChangeContext {
        let name = IdempotencyKey::parse(&number.to_string()).unwrap();
        ChangeContext {
            actor: Actor::Key {
                id: KeyId::from_uuid(Uuid::nil()),
                name: Name::literal("test"),
                on_behalf_of: None,
            },
            at,
            trace_id: "test".to_owned(),
            note: Note::default(),
            event_id: SystemIds.next(at),
            idempotency: Some(Idempotency { key: name, fingerprint: [0; 32] }),
        }
    }

    /// A store with the records of many changes that happened early.
    async fn recorded(id: OrganizationId) -> Arc<dyn Store> {
        let options = connect::Options::for_command(OnOlderSchema::Migrate);
        let store = connect::open("sqlite::memory:", options).await.unwrap();
        let name = Name::literal("test");
        let organization =
            Organization { id, name: name.clone(), requires_disposition: false, created_at: EARLY };
        store.create_organization(&organization).await.unwrap();
        let colour = Colour::parse("#64748B").unwrap();
        let status = NewStatus { key: key(), name, colour, class: StatusClass::Open };
        store.create_status(id, status, &change(0, EARLY)).await.unwrap();
        for number in 1..MANY {
            assert!(!repeat(store.as_ref(), id, &change(number, EARLY)).await);
        }
        store
    }

    /// Makes a change that changes nothing; returns true where it was recorded already.
    async fn repeat(store: &dyn Store, id: OrganizationId, change: &ChangeContext) -> bool {
        store.update_status(id, &key(), &StatusPatch::default(), change).await.unwrap().is_replayed
    }

    #[tokio::test]
    async fn all_that_has_expired_is_deleted_and_nothing_else() {
        let id = OrganizationId::from_uuid(SystemIds.next(EARLY));
        let store = recorded(id).await;
        let later = EARLY + IDEMPOTENCY_TTL;
        assert!(!repeat(store.as_ref(), id, &change(MANY, later)).await);
        expire(store.as_ref(), &StandingClock(later)).await.unwrap();
        assert_eq!(store.expire_idempotency_keys(later).await.unwrap(), 0);
        assert!(repeat(store.as_ref(), id, &change(MANY, later)).await);
        assert!(!repeat(store.as_ref(), id, &change(1, EARLY)).await);
    }
}
