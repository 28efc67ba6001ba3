//! Forgetting, in the background, the intended changes that nobody may repeat any more.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use crate::{domain::Clock, store::Store};

/// How long after the start the first cleaning is, so that starting is not slowed.
const FIRST_AFTER: Duration = Duration::from_mins(1);
/// How long after one cleaning the next one is.
const NEXT_AFTER: Duration = Duration::from_mins(5);
/// A deletion of fewer than these was the last: the store deletes some hundreds at a time while there are as many.
const FEW: u64 = 100;
/// How long writers have the database to themselves between two deletions.
const PAUSE: Duration = Duration::from_millis(50);

/// Cleans now and then, until told to stop.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, mut is_stopping: watch::Receiver<bool>) {
    let cleaning = async {
        sleep(FIRST_AFTER).await;
        loop {
            clean(store.as_ref(), clock.as_ref()).await;
            sleep(NEXT_AFTER).await;
        }
    };
    tokio::select! {
        // Also when whoever could tell is gone.
        _ = is_stopping.wait_for(|is_stopping| *is_stopping) => {}
        () = cleaning => {}
    }
}

/// Forgets all that is old by now. What fails is tried again next time: nothing but room depends on it.
async fn clean(store: &dyn Store, clock: &dyn Clock) {
    loop {
        match store.expire_idempotency_keys(clock.now()).await {
            Ok(count) => {
                tracing::debug!(count, "forgot old idempotency keys");
                if count < FEW {
                    return;
                }
            }
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::warn!(error, "can't forget old idempotency keys");
                return;
            }
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

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

    /// More than any store forgets at once.
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

    /// A store that remembers many changes that happened early.
    async fn remembering(id: OrganizationId) -> Arc<dyn Store> {
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

    /// Makes a change that changes nothing; whether it is remembered already.
    async fn repeat(store: &dyn Store, id: OrganizationId, change: &ChangeContext) -> bool {
        store.update_status(id, &key(), &StatusPatch::default(), change).await.unwrap().is_replayed
    }

    #[tokio::test]
    async fn all_that_is_old_is_forgotten_and_nothing_else() {
        let id = OrganizationId::from_uuid(SystemIds.next(EARLY));
        let store = remembering(id).await;
        let later = EARLY + IDEMPOTENCY_TTL;
        assert!(!repeat(store.as_ref(), id, &change(MANY, later)).await);
        clean(store.as_ref(), &StandingClock(later)).await;
        assert_eq!(store.expire_idempotency_keys(later).await.unwrap(), 0);
        assert!(repeat(store.as_ref(), id, &change(MANY, later)).await);
        assert!(!repeat(store.as_ref(), id, &change(1, EARLY)).await);
    }

    #[tokio::test]
    async fn it_ends_when_told_to() {
        let store = remembering(OrganizationId::from_uuid(SystemIds.next(EARLY))).await;
        let (stopping, is_stopping) = watch::channel(false);
        let running = tokio::spawn(run(store, Arc::new(StandingClock(EARLY)), is_stopping));
        stopping.send_replace(true);
        running.await.unwrap();
    }
}
