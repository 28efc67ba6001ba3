//! The history: one event for each change, chained into one feed for each organization.

use std::{sync::Arc, time::Duration};

use redflag::domain::{
    AlertEvent, AlertPatch, ChainHash, ChangeContext, Command, EventType, Head, NewAlert, OrganizationId,
    PageSize, Severity,
};
use serde_json::{Value, json};

use super::abandoned::{LOOKS, abandon};
use super::on_every_store;
use super::world::{Changes, World, alert_change, key, text};
use crate::support::DatabaseKind;

on_every_store!(
    every_change_writes_one_event_that_tells_it,
    the_feed_is_chained_from_zero_to_the_head,
    each_organization_has_a_feed_of_its_own,
    what_changes_nothing_writes_nothing_but_a_note_is_told,
    the_most_telling_type_is_chosen,
    escalating_appends_and_assigns,
    events_tell_who_why_and_by_which_call,
    pages_of_events_follow_each_other,
    the_database_refuses_to_change_events,
    a_change_that_is_refused_leaves_no_trace,
    instances_that_take_turns_leave_no_gap,
    an_abandoned_flag_leaves_no_gap,
);

/// The whole feed of an organization.
pub async fn feed(world: &World, organization: OrganizationId) -> Vec<AlertEvent> {
    let page = world.store.events(organization, 0, PageSize::MAX).await.unwrap();
    assert!(!page.has_more);
    page.items
}

/// The type of each event of the first organization.
pub async fn kinds(world: &World) -> Vec<EventType> {
    feed(world, world.organization).await.iter().map(|event| event.kind).collect()
}

/// What an event says about each field it lists, before and after.
fn told(event: &AlertEvent) -> Value {
    event.changes.iter().map(|change| (change.field.clone(), json!([change.before, change.after]))).collect()
}

async fn every_change_writes_one_event_that_tells_it(world: &World) {
    let alert = world.flag(NewAlert { severity: Severity::High, ..world.alert() }).await;
    let patch = AlertPatch {
        title: Some(text("New")),
        severity: Some(Severity::Unspecified),
        status: Some(key("INVESTIGATING")),
        ..AlertPatch::default()
    };
    world.update(alert.id, &patch).await.unwrap();
    let [flagged, updated] = feed(world, world.organization).await.try_into().unwrap();
    assert_eq!(
        told(&flagged),
        json!({
            "type": [null, "Transaction"], "title": [null, "Large transfer"],
            "description": [null, "Ten times the usual amount."], "status": [null, "FLAGGED"],
            "status_class": [null, "open"], "severity": [null, "high"], "affected_transactions": [null, ["txn_1"]],
            "occurrence_count": [null, 1], "last_occurred_at": [null, "2026-01-02T03:04:05.678901Z"],
        })
    );
    assert_eq!(
        told(&updated),
        json!({
            "title": ["Large transfer", "New"], "status": ["FLAGGED", "INVESTIGATING"],
            "status_class": ["open", "in_progress"], "severity": ["high", null],
        })
    );
    assert_eq!((flagged.kind, updated.kind), (EventType::Flagged, EventType::StatusChanged));
    assert_eq!((flagged.created_at, updated.created_at), (alert.created_at, world.change().at));
}

async fn the_feed_is_chained_from_zero_to_the_head(world: &World) {
    assert_eq!(world.store.head(world.organization).await.unwrap(), Some(Head::EMPTY));
    for count in 0..5 {
        let alert = world.flag(world.alert()).await;
        let patch = AlertPatch { title: Some(text(&count.to_string())), ..AlertPatch::default() };
        world.update(alert.id, &patch).await.unwrap();
    }
    let events = feed(world, world.organization).await;
    let mut head = Head::EMPTY;
    for event in &events {
        assert_eq!((event.position, event.previous_hash), (head.position + 1, head.hash));
        assert_eq!(event.hash, event.compute_hash());
        head = event.head();
    }
    assert_eq!(events[0].previous_hash, ChainHash([0; 32]));
    assert_eq!((head.position, world.store.head(world.organization).await.unwrap()), (10, Some(head)));
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2].repeat(5));
}

async fn each_organization_has_a_feed_of_its_own(world: &World) {
    let other = world.add_organization("other").await;
    let mine = world.flag(world.alert()).await;
    world.flag(NewAlert { organization_id: other, ..world.alert() }).await;
    let feeds = [feed(world, world.organization).await, feed(world, other).await];
    assert!(feeds.iter().all(|feed| feed.len() == 1 && feed[0].position == 1));
    assert_ne!(feeds[0][0].hash, feeds[1][0].hash);
    let theirs = world.store.alert_events(other, mine.id, 0, PageSize::MAX).await.unwrap();
    assert!(theirs.items.is_empty());
    let nobody = world.organization("nobody").id;
    assert_eq!(world.store.head(nobody).await.unwrap(), None);
}

async fn what_changes_nothing_writes_nothing_but_a_note_is_told(world: &World) {
    let alert = world.flag(world.alert()).await;
    world.update(alert.id, &AlertPatch::default()).await.unwrap();
    assert_eq!(kinds(world).await, [EventType::Flagged]);
    let context = ChangeContext { note: text("Called the bank."), ..world.later() };
    let noted = world
        .store
        .update_alert(world.organization, alert.id, &AlertPatch::default(), &context)
        .await
        .unwrap();
    assert_eq!((noted.version, noted.updated_at, noted.sequence), (1, alert.updated_at, 2));
    let events = feed(world, world.organization).await;
    assert_eq!((events[1].kind, events[1].note.as_str()), (EventType::Noted, "Called the bank."));
    assert!(events[1].changes.is_empty() && events[1].created_at == context.at);
}

async fn the_most_telling_type_is_chosen(world: &World) {
    let alert = world.flag(world.alert()).await;
    let none = AlertPatch::default;
    let both = |status: &str| AlertPatch { status: Some(key(status)), title: Some(text(status)), ..none() };
    let patches = [
        AlertPatch { title: Some(text("New")), ..none() },
        AlertPatch { assigned_to: Some(text("ana")), title: Some(text("x")), ..none() },
        AlertPatch { assigned_to: Some(text("bo")), ..both("INVESTIGATING") },
        AlertPatch { escalated_to: Some(vec![text("cy")]), ..both("FLAGGED") },
        AlertPatch { escalated_to: Some(vec![]), ..none() },
        AlertPatch { escalated_to: Some(vec![text("cy")]), ..both("RESOLVED") },
        AlertPatch { escalated_to: Some(vec![text("dan")]), ..both("FLAGGED") },
    ];
    for patch in patches {
        world.update(alert.id, &patch).await.unwrap();
    }
    let expected = [
        EventType::Flagged,
        EventType::Updated,
        EventType::Assigned,
        EventType::StatusChanged,
        EventType::Escalated,
        EventType::Updated,
        EventType::Closed,
        EventType::Reopened,
    ];
    assert_eq!(kinds(world).await, expected);
}

async fn escalating_appends_and_assigns(world: &World) {
    let alert = world.flag(NewAlert { escalated_to: vec![text("ana")], ..world.alert() }).await;
    let escalate = async |to: &[&str]| {
        let command = Command::Escalate(alert.id, to.iter().map(|person| text(person)).collect());
        let change = alert_change(world.organization, command, &world.later());
        world.store.change_alert(&change).await.unwrap().value.alert
    };
    let once = escalate(&["bo", "ana", "cy"]).await;
    assert_eq!(once.escalated_to, [text("ana"), text("bo"), text("cy")]);
    assert_eq!((once.assigned_to.as_str(), once.version), ("bo", 2));
    assert_eq!(escalate(&["bo", "cy"]).await, once, "it is so already");
    let back = escalate(&["ana"]).await;
    assert_eq!((back.assigned_to.as_str(), back.escalated_to.len(), back.version), ("ana", 3, 3));
    assert_eq!(kinds(world).await, [EventType::Flagged, EventType::Escalated, EventType::Escalated]);
}

async fn events_tell_who_why_and_by_which_call(world: &World) {
    let actor = world.actor_for("Ana 😀");
    let context = ChangeContext {
        actor: actor.clone(),
        note: text("Line one\nline \"two\""),
        trace_id: "trace-7".to_owned(),
        ..world.change()
    };
    let alert = world.store.flag(world.alert(), &context).await.unwrap();
    let [event] = feed(world, world.organization).await.try_into().unwrap();
    assert_eq!((event.actor, event.note, event.request_id), (actor, context.note, context.trace_id));
    assert_eq!((event.id.uuid(), event.anomaly_id), (context.event_id, alert.id));
}

async fn pages_of_events_follow_each_other(world: &World) {
    let alert = world.flag(world.alert()).await;
    for count in 0..6 {
        let patch = AlertPatch { title: Some(text(&count.to_string())), ..AlertPatch::default() };
        world.update(alert.id, &patch).await.unwrap();
        world.flag(world.alert()).await;
    }
    let size = PageSize::parse(Some(3), PageSize::DEFAULT).unwrap();
    let (mut seen, mut position) = (Vec::new(), 0);
    loop {
        let page = world.store.events(world.organization, position, size).await.unwrap();
        position = page.items.last().map_or(position, |event| event.position);
        seen.extend(page.items.iter().map(|event| event.position));
        if !page.has_more {
            break;
        }
        assert_eq!(page.items.len(), 3);
    }
    assert_eq!(seen, (1..=13).collect::<Vec<_>>());
    let later = world.store.alert_events(world.organization, alert.id, 4, size).await.unwrap();
    assert_eq!(later.items.iter().map(|event| event.sequence).collect::<Vec<_>>(), [5, 6, 7]);
    assert!(!later.has_more);
}

/// Another alert's event, in the row of one that is there.
const REPLACED_BY_ROW_ID: &str = "INSERT OR REPLACE INTO alert_events (rowid, organization_id, position, anomaly_id, sequence, \
     event_id, type, key_id, key_name, changes, note, request_id, created_at, previous_hash, hash) \
     SELECT rowid, organization_id, position + 100, zeroblob(16), sequence, event_id, type, key_id, key_name, changes, note, \
     request_id, created_at, previous_hash, hash FROM alert_events";

async fn the_database_refuses_to_change_events(world: &World) {
    world.flag(world.alert()).await;
    let mut attempts = vec![
        "UPDATE alert_events SET note = 'x'",
        "UPDATE alert_events SET position = position + 1",
        "DELETE FROM alert_events",
    ];
    match world.database.kind() {
        DatabaseKind::Sqlite => {
            attempts.push("INSERT OR REPLACE INTO alert_events SELECT * FROM alert_events");
            attempts.push("UPDATE OR REPLACE alert_events SET position = 9");
            attempts.push(REPLACED_BY_ROW_ID);
            attempts.push(
                "INSERT INTO alert_events SELECT * FROM alert_events WHERE true \
                 ON CONFLICT DO UPDATE SET note = 'x'",
            );
        }
        DatabaseKind::Postgres => {
            attempts.push("TRUNCATE alert_events");
            attempts.push(
                "INSERT INTO alert_events SELECT * FROM alert_events \
                 ON CONFLICT (organization_id, position) DO UPDATE SET note = 'x'",
            );
        }
    }
    let before = feed(world, world.organization).await;
    for attempt in attempts {
        let refused = world.database.try_execute(attempt).await.unwrap_err().to_string();
        assert!(refused.contains("events are never changed or deleted"), "{attempt}: {refused}");
    }
    assert_eq!(feed(world, world.organization).await, before);
}

async fn a_change_that_is_refused_leaves_no_trace(world: &World) {
    let alert = world.flag(world.alert()).await;
    let unknown = AlertPatch { status: Some(key("NOWHERE")), ..AlertPatch::default() };
    world.update(alert.id, &unknown).await.unwrap_err();
    let empty = AlertPatch { affected_transactions: Some(vec![]), ..AlertPatch::default() };
    world.update(alert.id, &empty).await.unwrap_err();
    world
        .store
        .flag(NewAlert { status: key("NOWHERE"), ..world.alert() }, &world.change())
        .await
        .unwrap_err();
    assert_eq!(kinds(world).await, [EventType::Flagged]);
    assert_eq!(world.read(alert.id).await, Some(alert));
}

/// No position of the feed is left out or given twice.
async fn assert_gapless(world: &World, events: usize) {
    let feed = feed(world, world.organization).await;
    assert_eq!(feed.len(), events);
    assert!(feed.iter().map(|event| event.position).eq(1..=i64::try_from(events).unwrap()));
    world.assert_sound().await;
}

/// An instance that knows where it left the feed does not know that another has gone on since.
async fn instances_that_take_turns_leave_no_gap(world: &World) {
    let instances = [Arc::clone(&world.store), world.database.open().await];
    let turns = [0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1];
    for _ in 0..3 {
        for turn in turns {
            instances[turn].flag(world.alert(), &world.later()).await.unwrap();
        }
        // An instance that was seen to be one of several is one for itself again after a second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    assert_gapless(world, 3 * turns.len()).await;
}

async fn an_abandoned_flag_leaves_no_gap(world: &World) {
    for looks in 0..LOOKS {
        let before = world.flag(world.alert()).await;
        let flag = world.alert();
        let id = flag.id;
        abandon(world.flag(flag), looks).await;
        let after = world.flag(world.alert()).await;
        for id in [before.id, after.id] {
            assert!(world.read(id).await.is_some(), "{id} was acknowledged");
        }
        let abandoned = world.store.alert_events(world.organization, id, 0, PageSize::MAX).await.unwrap();
        assert_eq!(abandoned.items.len(), usize::from(world.read(id).await.is_some()));
    }
    let events = feed(world, world.organization).await.len();
    assert!((2 * LOOKS..=3 * LOOKS).contains(&events), "{events}");
    assert_gapless(world, events).await;
}
