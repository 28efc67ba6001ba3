//! Many tasks and several instances on one database.

use std::sync::Arc;

use chrono::TimeDelta;
use redflag::domain::{
    Alert, AlertFilter, AlertPatch, AlertQuery, AnomalyId, EntityId, NewAlert, PageSize, Severity, SortOrder,
    StatusKey,
};
use redflag::store::{Store, StoreError};
use tokio::{sync::Barrier, task::JoinSet};

use super::on_every_store;
use super::random::Random;
use super::world::{Changes, World, entities, entity, ids, key, metadata, new_status, text};

on_every_store!(
    a_status_deleted_while_alerts_move_to_it_never_leaves_one_behind,
    updates_of_different_fields_at_once_all_land,
    lists_replaced_at_once_leave_an_index_that_agrees,
    alerts_that_stood_at_the_start_are_seen_once_while_others_are_inserted,
    of_many_that_make_the_same_status_exactly_one_does,
    of_many_that_make_the_same_organization_exactly_one_does,
);

/// Three instances; the test's own is one of them.
async fn instances(world: &World) -> [Arc<dyn Store>; 3] {
    [Arc::clone(&world.store), world.database.open().await, world.database.open().await]
}

/// What one task of a round does.
#[derive(Debug)]
enum Act {
    Flag(NewAlert),
    /// Moves an alert to the status, where it may stand already.
    Move(AnomalyId, AlertPatch),
    Delete,
}

async fn a_status_deleted_while_alerts_move_to_it_never_leaves_one_behind(world: &World) {
    let instances = instances(world).await;
    let mut acknowledged: Vec<AnomalyId> = Vec::new();
    let mut deleted = 0;
    for round in 0..24 {
        let status = world.add_status("RUSH").await;
        // In some rounds an alert is in the status from the start, and is updated within it.
        let standing = if round % 3 == 0 { "RUSH" } else { "FLAGGED" };
        let acts = acts(world, standing, &status, round).await;
        for (flagged, gone) in rush(world, &instances, acts, &status).await {
            acknowledged.extend(flagged);
            deleted += usize::from(gone);
        }
        assert_statuses_exist(world, &acknowledged).await;
        clear(world, &status).await;
    }
    assert!(deleted > 0, "no deletion was ever in time");
    let listed = world.find(AlertFilter::default()).await;
    assert!(acknowledged.iter().all(|id| listed.contains(id)));
}

async fn acts(world: &World, standing: &str, status: &StatusKey, round: usize) -> Vec<Act> {
    let mut acts = vec![Act::Delete, Act::Delete];
    for count in 0..3 {
        let alert = world.flag_in(standing).await;
        let title = Some(text(&format!("{round} {count}")));
        let patch = AlertPatch { status: Some(status.clone()), title, ..AlertPatch::default() };
        acts.push(Act::Move(alert.id, patch));
    }
    let flags = 1 + round % 2 * 2;
    for _ in 0..flags {
        acts.push(Act::Flag(NewAlert { status: status.clone(), ..world.alert() }));
    }
    // Each comes first in some round.
    let count = acts.len();
    acts.rotate_left(round % count);
    acts
}

/// Does all acts at once. Tells of each which alert it was told is flagged, and whether it deleted the status.
async fn rush(
    world: &World,
    instances: &[Arc<dyn Store>],
    acts: Vec<Act>,
    status: &StatusKey,
) -> Vec<(Option<AnomalyId>, bool)> {
    let start = Arc::new(Barrier::new(acts.len()));
    let mut tasks = JoinSet::new();
    for (index, act) in acts.into_iter().enumerate() {
        let (store, start) = (Arc::clone(&instances[index % instances.len()]), Arc::clone(&start));
        let (organization, change, status) = (world.organization, world.later(), status.clone());
        tasks.spawn(async move {
            start.wait().await;
            match act {
                Act::Flag(alert) => (told(store.flag(alert, &change).await), false),
                Act::Move(id, patch) => {
                    told(store.update_alert(organization, id, &patch, &change).await);
                    (Some(id), false)
                }
                Act::Delete => match store.delete_status(organization, &status, &change).await {
                    Ok(_) => (None, true),
                    Err(StoreError::NotFound | StoreError::InUse(1..)) => (None, false),
                    Err(error) => panic!("{error:?}"),
                },
            }
        });
    }
    tasks.join_all().await
}

/// The alert that was acknowledged; the only excuse is that the status is gone.
fn told(answer: Result<Alert, StoreError>) -> Option<AnomalyId> {
    match answer {
        Ok(alert) => Some(alert.id),
        Err(StoreError::UnknownStatus(_)) => None,
        Err(error) => panic!("{error:?}"),
    }
}

async fn assert_statuses_exist(world: &World, acknowledged: &[AnomalyId]) {
    for id in acknowledged {
        let alert = world.read(*id).await.expect("an acknowledged alert is there");
        let missing = world.store.missing_statuses(world.organization, &[alert.status]).await.unwrap();
        assert!(missing.is_empty(), "{id} is in a status that does not exist");
    }
}

/// Moves all alerts out of the status and deletes it, if it is still there.
async fn clear(world: &World, status: &StatusKey) {
    let resolve = AlertPatch { status: Some(key("RESOLVED")), ..AlertPatch::default() };
    for id in world.find(AlertFilter { statuses: vec![status.clone()], ..AlertFilter::default() }).await {
        world.update(id, &resolve).await.unwrap();
    }
    let cleared = world.store.delete_status(world.organization, status, &world.change()).await;
    assert!(matches!(cleared, Ok(_) | Err(StoreError::NotFound)), "{cleared:?}");
}

const UPDATES: usize = 12;

/// The patch that the task for one field makes as its `count`th.
fn field_patch(field: usize, count: usize) -> AlertPatch {
    let none = AlertPatch::default();
    let word = format!("{count}");
    match field {
        0 => AlertPatch { title: Some(text(&word)), ..none },
        1 => AlertPatch { description: Some(text(&word)), ..none },
        2 => AlertPatch { assigned_to: Some(text(&word)), ..none },
        3 => AlertPatch { metadata: Some(metadata(&format!(r#"{{"count": {count}}}"#))), ..none },
        4 => AlertPatch { escalated_to: Some(vec![text(&word)]), ..none },
        5 => AlertPatch { affected_balances: Some(vec![entity(&format!("bln_{count}"))]), ..none },
        _ => AlertPatch { severity: Some(Severity::GIVEN[count % 4]), ..none },
    }
}

async fn updates_of_different_fields_at_once_all_land(world: &World) {
    let instances = instances(world).await;
    let alert = world.flag(world.alert()).await;
    let mut tasks = JoinSet::new();
    for field in 0..7 {
        let store = Arc::clone(&instances[field % instances.len()]);
        let (organization, change) = (world.organization, world.later());
        tasks.spawn(async move {
            for count in 1..=UPDATES {
                let patch = field_patch(field, count);
                let updated = store.update_alert(organization, alert.id, &patch, &change).await.unwrap();
                assert!(updated.version > i64::try_from(count).unwrap());
            }
        });
    }
    tasks.join_all().await;
    let last = world.read(alert.id).await.unwrap();
    for field in 0..7 {
        let repeated = world.update(alert.id, &field_patch(field, UPDATES)).await.unwrap();
        assert_eq!(repeated, last, "a change was lost");
    }
    assert_eq!(last.version, 1 + i64::try_from(7 * UPDATES).unwrap());
}

async fn lists_replaced_at_once_leave_an_index_that_agrees(world: &World) {
    let instances = instances(world).await;
    let alert = world.flag(world.alert()).await;
    let names = ["bln_1", "bln_2", "bln_3", "bal_1"];
    let mut tasks = JoinSet::new();
    for (seed, store) in instances.into_iter().enumerate() {
        let (organization, change) = (world.organization, world.later());
        tasks.spawn(async move {
            let mut random = Random::new(u64::try_from(seed).unwrap());
            for _ in 0..UPDATES {
                let balances = entities(&random.some(&names, 0, 4)).balances;
                let people = random.some(&names, 0, 4).into_iter().map(text).collect();
                let patch = AlertPatch {
                    affected_balances: Some(balances),
                    escalated_to: Some(people),
                    ..AlertPatch::default()
                };
                store.update_alert(organization, alert.id, &patch, &change).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let last = world.read(alert.id).await.unwrap();
    for name in names {
        let id: EntityId = entity(name);
        let about = last.entities.balances.contains(&id);
        let found = world.find(AlertFilter { entity_ids: vec![id], ..AlertFilter::default() }).await;
        assert_eq!(found.len(), usize::from(about), "{name}");
        let escalated = last.escalated_to.contains(&text(name));
        let found =
            world.find(AlertFilter { escalated_to: Some(text(name)), ..AlertFilter::default() }).await;
        assert_eq!(found.len(), usize::from(escalated), "{name}");
    }
}

async fn alerts_that_stood_at_the_start_are_seen_once_while_others_are_inserted(world: &World) {
    let mut random = Random::new(7);
    let start = world.clock.step(TimeDelta::zero());
    let mut standing = Vec::new();
    for _ in 0..80 {
        world.clock.set(start + TimeDelta::seconds(i64::try_from(random.below(20)).unwrap()));
        standing.push(world.flag(world.alert()).await.id);
    }
    for order in [SortOrder::Descending, SortOrder::Ascending] {
        let store = world.database.open().await;
        // Before, among and after those that stand, made while pages are read.
        let mut alerts = Vec::new();
        for _ in 0..120 {
            world.clock.set(start + TimeDelta::seconds(i64::try_from(random.below(40)).unwrap() - 10));
            alerts.push((world.alert(), world.change()));
        }
        let inserting = tokio::spawn(async move {
            for (alert, change) in alerts {
                store.flag(alert, &change).await.unwrap();
            }
        });
        let seen = read_all_pages(world, order, || inserting.is_finished()).await;
        inserting.await.unwrap();
        for id in &standing {
            assert_eq!(seen.iter().filter(|alert| alert.id == *id).count(), 1);
        }
        let mut sorted = seen.clone();
        sorted.sort_by_key(|alert| (alert.created_at, alert.id));
        sorted.dedup_by_key(|alert| alert.id);
        if order == SortOrder::Descending {
            sorted.reverse();
        }
        assert_eq!(ids(&sorted), ids(&seen));
    }
}

/// Reads the whole list in small pages, once more for as long as others insert, and answers the first reading.
async fn read_all_pages(world: &World, order: SortOrder, done: impl Fn() -> bool) -> Vec<Alert> {
    let size = PageSize::parse(Some(3), PageSize::DEFAULT).unwrap();
    let mut first: Option<Vec<Alert>> = None;
    loop {
        let mut query =
            AlertQuery { order, size, include_total: false, ..world.query(AlertFilter::default()) };
        let mut seen: Vec<Alert> = Vec::new();
        loop {
            let page = world.store.alerts(&query).await.unwrap();
            seen.extend(page.items);
            query.after = seen.last().map(Alert::cursor);
            if !page.has_more {
                break;
            }
        }
        let first = first.get_or_insert(seen);
        if done() {
            return std::mem::take(first);
        }
    }
}

async fn of_many_that_make_the_same_status_exactly_one_does(world: &World) {
    let mut tasks = JoinSet::new();
    for (index, store) in instances(world).await.iter().cycle().take(9).enumerate() {
        let store = Arc::clone(store);
        let status = redflag::domain::NewStatus { name: text(&index.to_string()), ..new_status("PENDING") };
        let (organization, change) = (world.organization, world.later());
        tasks.spawn(async move { store.create_status(organization, status, &change).await });
    }
    let (made, refused): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    assert!(refused.iter().all(|answer| matches!(answer, Err(StoreError::Duplicate))), "{refused:?}");
}

async fn of_many_that_make_the_same_organization_exactly_one_does(world: &World) {
    let mut tasks = JoinSet::new();
    for store in instances(world).await.iter().cycle().take(9) {
        let (store, organization) = (Arc::clone(store), world.organization("same"));
        tasks.spawn(async move { store.create_organization(&organization).await });
    }
    let (made, refused): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    assert!(refused.iter().all(|answer| matches!(answer, Err(StoreError::Duplicate))), "{refused:?}");
}
