//! Changes that share a commit: each has its own outcome, as if they had come one after the other.

use std::{future::poll_fn, sync::Arc, task::Poll};

use redflag::domain::{
    AlertChange, AlertPatch, AnomalyId, ChangedAlert, Command, Idempotency, IdempotencyKey, Idempotent,
    NewAlert, PageSize, Refusal, StatusKey,
};
use redflag::store::{
    Store, StoreError,
    connect::{self, Options},
    queue::GroupCommit,
    schema::OnOlderSchema,
};

use super::on_every_store;
use super::world::{World, alert_change, entities, key, text};
use tokio::task::JoinSet;

use crate::support::outage;

on_every_store!(
    one_that_fails_leaves_its_neighbours_alone,
    a_damaged_alert_holds_up_no_other,
    changes_of_one_alert_follow_each_other,
    repeats_fold_into_what_stands_after_the_changes_before_them,
    an_intended_change_happens_once_however_often_it_is_in_a_batch,
    organizations_share_commits_and_nothing_else,
    who_goes_away_takes_nothing_along,
    what_waits_at_the_end_is_done,
    one_too_many_is_refused_and_not_done,
    look_ups_that_meet_get_each_their_own,
);

pub type Outcome = Result<Idempotent<ChangedAlert>, StoreError>;

/// Asks for all of them while nothing can be written, in this order, and then lets them be done; all but the first few are
/// one batch.
pub async fn together(world: &World, store: &Arc<dyn Store>, changes: &[AlertChange]) -> Vec<Outcome> {
    let held = outage::hold_writes(world.database.url()).await;
    let mut calls: Vec<_> = changes.iter().map(|change| (store.change_alert(change), None)).collect();
    poll_fn(|context| {
        for (call, done) in &mut calls {
            if let Poll::Ready(outcome) = call.as_mut().poll(context) {
                *done = Some(outcome);
            }
        }
        Poll::Ready(())
    })
    .await;
    held.release().await;
    let mut outcomes = Vec::new();
    for (call, done) in calls {
        outcomes.push(match done {
            Some(outcome) => outcome,
            None => call.await,
        });
    }
    outcomes
}

impl World {
    pub fn to_flag(&self, alert: NewAlert) -> AlertChange {
        alert_change(self.organization, Command::Flag(Box::new(alert)), &self.later())
    }

    fn to_update(&self, id: AnomalyId, patch: AlertPatch) -> AlertChange {
        alert_change(self.organization, Command::Update(id, Box::new(patch)), &self.later())
    }
}

fn titled(title: &str) -> AlertPatch {
    AlertPatch { title: Some(text(title)), ..AlertPatch::default() }
}

fn moved(status: &str) -> AlertPatch {
    AlertPatch { status: Some(key(status)), ..AlertPatch::default() }
}

fn alert(outcome: &Outcome) -> &redflag::domain::Alert {
    &outcome.as_ref().unwrap().value.alert
}

async fn one_that_fails_leaves_its_neighbours_alone(world: &World) {
    let standing = world.flag(world.alert()).await;
    let twin = NewAlert { id: standing.id, ..world.alert() };
    let changes = [
        world.to_flag(world.alert()),
        world.to_flag(NewAlert { status: key("NOWHERE"), ..world.alert() }),
        world.to_update(standing.id, titled("one")),
        // Fails only when it is written.
        world.to_flag(twin),
        AlertChange { expected_versions: Some(vec![1]), ..world.to_update(standing.id, titled("two")) },
        world.to_update(world.alert().id, titled("three")),
        world.to_flag(world.alert()),
    ];
    let outcomes = together(world, &world.store, &changes).await;
    assert!(matches!(&outcomes[1], Err(StoreError::UnknownStatus(_))), "{:?}", outcomes[1]);
    assert!(matches!(&outcomes[3], Err(StoreError::Internal(_))), "{:?}", outcomes[3]);
    let conflict = Refusal::VersionConflict(2);
    assert!(
        matches!(&outcomes[4], Err(StoreError::Refused(refusal)) if *refusal == conflict),
        "{:?}",
        outcomes[4]
    );
    assert!(matches!(&outcomes[5], Err(StoreError::NotFound)), "{:?}", outcomes[5]);
    for done in [0, 2, 6] {
        let answered = alert(&outcomes[done]);
        assert_eq!(world.read(answered.id).await.as_ref(), Some(answered));
    }
    assert_eq!(world.store.head(world.organization).await.unwrap().unwrap().position, 4);
    world.assert_sound().await;
}

async fn a_damaged_alert_holds_up_no_other(world: &World) {
    let damaged = world.flag(world.alert()).await;
    world.database.execute("UPDATE alerts SET description = ''").await;
    let change = || world.to_update(damaged.id, titled("one"));
    let changes = [change(), world.to_flag(world.alert()), change(), world.to_flag(world.alert())];
    // From another instance, which remembers no head.
    let outcomes = together(world, &world.database.open().await, &changes).await;
    for [refused, done] in [[0, 1], [2, 3]] {
        assert!(matches!(&outcomes[refused], Err(StoreError::Inconsistent(_))), "{:?}", outcomes[refused]);
        let answered = alert(&outcomes[done]);
        assert_eq!(world.read(answered.id).await.as_ref(), Some(answered));
    }
}

async fn changes_of_one_alert_follow_each_other(world: &World) {
    let standing = world.flag(world.alert()).await;
    let changes: Vec<_> = (0..20).map(|n| world.to_update(standing.id, titled(&n.to_string()))).collect();
    let outcomes = together(world, &world.store, &changes).await;
    for (n, outcome) in (0..).zip(&outcomes) {
        let answered = alert(outcome);
        assert_eq!((answered.title.as_str(), answered.version), (n.to_string().as_str(), n + 2));
    }
    assert_eq!(world.read(standing.id).await.as_ref(), Some(alert(&outcomes[19])));
    world.assert_sound().await;
}

async fn repeats_fold_into_what_stands_after_the_changes_before_them(world: &World) {
    let repeat = |entity: &str| NewAlert {
        dedup_key: Some(text("limit-7")),
        entities: entities(&[entity]),
        ..world.alert()
    };
    let (first, second) = (repeat("txn_1"), repeat("txn_3"));
    let (one, two) = (first.id, second.id);
    let changes = [
        world.to_flag(first),
        world.to_flag(repeat("txn_2")),
        world.to_update(one, moved("RESOLVED")),
        world.to_flag(second),
        world.to_update(one, moved("FLAGGED")),
        world.to_flag(repeat("txn_4")),
        world.to_update(two, moved("RESOLVED")),
        world.to_update(one, moved("FLAGGED")),
        world.to_flag(repeat("txn_5")),
    ];
    let outcomes = together(world, &world.store, &changes).await;
    let rival = Refusal::Rival(two);
    assert!(
        matches!(&outcomes[4], Err(StoreError::Refused(refusal)) if *refusal == rival),
        "{:?}",
        outcomes[4]
    );
    let folded = |index: usize| outcomes[index].as_ref().unwrap().value.is_deduplicated;
    assert_eq!([0, 1, 3, 5, 8].map(folded), [false, true, false, true, true]);
    assert_eq!([0, 1, 3, 5, 8].map(|index| alert(&outcomes[index]).id), [one, one, two, two, one]);
    let (one, two) = (world.read(one).await.unwrap(), world.read(two).await.unwrap());
    assert_eq!((&one, &two), (alert(&outcomes[8]), alert(&outcomes[6])));
    assert_eq!((one.occurrence_count, two.occurrence_count), (3, 2));
    assert_eq!(one.entities, entities(&["txn_1", "txn_2", "txn_5"]));
    assert_eq!(two.previous_anomaly_id, Some(one.id));
    assert_eq!(world.find(filter_by("txn_5")).await, [one.id]);
    world.assert_sound().await;
}

fn filter_by(entity: &str) -> redflag::domain::AlertFilter {
    redflag::domain::AlertFilter {
        entity_ids: vec![super::world::entity(entity)],
        ..redflag::domain::AlertFilter::default()
    }
}

async fn an_intended_change_happens_once_however_often_it_is_in_a_batch(world: &World) {
    let named = |fingerprint: u8| {
        let mut change = world.to_flag(world.alert());
        let key = IdempotencyKey::parse("intent-1").unwrap();
        change.context.idempotency = Some(Idempotency { key, fingerprint: [fingerprint; 32] });
        change
    };
    let changes = [named(1), named(1), named(2), named(1)];
    let outcomes = together(world, &world.store, &changes).await;
    assert!(matches!(&outcomes[2], Err(StoreError::KeyReused)), "{:?}", outcomes[2]);
    let answers = [0, 1, 3].map(|index| outcomes[index].as_ref().unwrap());
    assert_eq!(answers.map(|answer| answer.is_replayed), [false, true, true]);
    assert!(answers.iter().all(|answer| answer.value == answers[0].value));
    assert_eq!(world.store.head(world.organization).await.unwrap().unwrap().position, 1);
    world.assert_sound().await;
}

async fn organizations_share_commits_and_nothing_else(world: &World) {
    let mut organizations = vec![world.organization];
    for name in ["second", "third", "fourth"] {
        organizations.push(world.add_organization(name).await);
    }
    let flag = |&organization_id| {
        let alert = NewAlert { organization_id, ..world.alert() };
        AlertChange { organization_id, ..world.to_flag(alert) }
    };
    // Where several commits may be in flight, each organization still has its changes follow each other.
    let commits = GroupCommit { in_flight: 3, ..GroupCommit::DEFAULT };
    let options = Options { commits, connections: 4, ..Options::for_command(OnOlderSchema::Refuse) };
    let several = connect::open(world.database.url(), options).await.unwrap();
    for (store, events) in [(&world.store, 10), (&several, 20)] {
        let changes: Vec<_> = organizations.iter().cycle().take(40).map(flag).collect();
        let outcomes = together(world, store, &changes).await;
        assert!(outcomes.iter().all(Result::is_ok));
        for &organization in &organizations {
            let verified = world.verify_of(organization, 1).await.unwrap();
            assert_eq!((verified.events, verified.head.position), (events, events));
        }
    }
}

async fn who_goes_away_takes_nothing_along(world: &World) {
    let changes: Vec<_> = (0..30).map(|_| world.to_flag(world.alert())).collect();
    let held = outage::hold_writes(world.database.url()).await;
    let mut calls: Vec<_> = changes.iter().map(|change| world.store.change_alert(change)).collect();
    poll_fn(|context| {
        let pending = calls.iter_mut().all(|call| call.as_mut().poll(context).is_pending());
        assert!(pending);
        Poll::Ready(())
    })
    .await;
    let mut index = 0;
    calls.retain(|_| {
        index += 1;
        index % 3 != 0
    });
    held.release().await;
    for call in calls {
        let answered = call.await.unwrap().value.alert;
        assert_eq!(world.read(answered.id).await, Some(answered));
    }
    world.assert_sound().await;
}

async fn what_waits_at_the_end_is_done(world: &World) {
    let store = world.database.open().await;
    let changes: Vec<_> = (0..30).map(|_| world.to_flag(world.alert())).collect();
    let (outcomes, ()) = tokio::join!(together(world, &store, &changes), store.close());
    // Those that asked after the end were refused, and all others are there.
    for outcome in &outcomes {
        match outcome {
            Ok(answer) => assert!(world.read(answer.value.alert.id).await.is_some()),
            Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
        }
    }
    let done = i64::try_from(outcomes.iter().filter(|outcome| outcome.is_ok()).count()).unwrap();
    assert_eq!(world.store.head(world.organization).await.unwrap().unwrap().position, done);
    let late = store.change_alert(&changes[0]).await;
    assert!(matches!(&late, Err(StoreError::Unavailable(_))), "{late:?}");
}

async fn one_too_many_is_refused_and_not_done(world: &World) {
    let commits = GroupCommit { size: 2, waiting: 3, in_flight: 1 };
    let options = Options { commits, ..Options::for_command(OnOlderSchema::Refuse) };
    let store = connect::open(world.database.url(), options).await.unwrap();
    let changes: Vec<_> = (0..20).map(|_| world.to_flag(world.alert())).collect();
    let outcomes = together(world, &store, &changes).await;
    let mut done = 0;
    for outcome in &outcomes {
        match outcome {
            Ok(_) => done += 1,
            Err(error) => assert!(matches!(error, StoreError::Busy), "{error:?}"),
        }
    }
    assert!((3..20).contains(&done), "{done} of 20 found room");
    assert_eq!(world.find(redflag::domain::AlertFilter::default()).await.len(), done);
    let page = world.store.events(world.organization, 0, PageSize::MAX).await.unwrap();
    assert_eq!(page.items.len(), done);
    assert_eq!(StatusKey::flagged(), alert(&store.change_alert(&world.to_flag(world.alert())).await).status);
}

async fn look_ups_that_meet_get_each_their_own(world: &World) {
    let (one, two) = (world.flag(world.alert()).await, world.flag(world.alert()).await);
    let unknown = AnomalyId::from_uuid(uuid::Uuid::from_u128(1));
    for asked in [vec![one.id, two.id, unknown], vec![one.id, one.id, two.id, unknown, unknown]] {
        let mut tasks = JoinSet::new();
        for id in asked.iter().cycle().take(60).copied() {
            let (store, organization) = (Arc::clone(&world.store), world.organization);
            tasks.spawn(async move { (id, store.alert(organization, id).await.unwrap()) });
        }
        for (id, found) in tasks.join_all().await {
            let expected = [&one, &two].into_iter().find(|alert| alert.id == id);
            assert_eq!(found.as_ref(), expected);
        }
    }
}
