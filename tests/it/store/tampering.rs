//! What somebody does to the database past redflag is found, at the right place.

use redflag::domain::{AlertPatch, AnomalyId, Disagreement, NewAlert};
use redflag::operator::audit::{Broken, Problem, Unverified};

use super::on_every_store;
use super::world::{World, key, text};
use crate::support::DatabaseKind;

on_every_store!(
    an_untouched_feed_is_sound,
    a_changed_event_is_named,
    a_deleted_event_is_named,
    swapped_events_are_named,
    a_rewritten_link_is_named,
    a_changed_head_is_named,
    a_changed_alert_is_named,
    a_removed_alert_is_named,
);

/// How many events the feed has.
const EVENTS: i64 = 12;

/// Some alerts with a history, in a database that no longer refuses to change events.
async fn prepared(world: &World) -> Vec<AnomalyId> {
    let mut alerts = Vec::new();
    for count in 0..4 {
        let alert = world.flag(NewAlert { dedup_key: Some(text(&count.to_string())), ..world.alert() }).await;
        for (title, status) in [("A", "INVESTIGATING"), ("B", "RESOLVED")] {
            let patch =
                AlertPatch { title: Some(text(title)), status: Some(key(status)), ..AlertPatch::default() };
            world.update(alert.id, &patch).await.unwrap();
        }
        alerts.push(alert.id);
    }
    world.assert_sound().await;
    let drop_triggers = match world.database.kind() {
        DatabaseKind::Sqlite => {
            "DROP TRIGGER alert_events_not_updated; DROP TRIGGER alert_events_not_deleted; \
             DROP TRIGGER alert_events_not_replaced"
        }
        DatabaseKind::Postgres => "DROP TRIGGER alert_events_immutable ON alert_events",
    };
    world.database.execute(drop_triggers).await;
    alerts
}

async fn broken(world: &World) -> Broken {
    match world.verify().await {
        Err(Unverified::Broken(broken)) => broken,
        other => panic!("{other:?}"),
    }
}

async fn an_untouched_feed_is_sound(world: &World) {
    prepared(world).await;
    let verified = world.verify().await.unwrap();
    assert_eq!(verified.events, EVENTS);
    assert_eq!(Some(verified.head), world.store.head(world.organization).await.unwrap());
    let empty = world.add_organization("empty").await;
    assert_eq!(world.verify_of(empty, 1).await.unwrap().events, 0);
    for from in [1, 2, EVENTS, EVENTS + 1] {
        let verified = world.verify_of(world.organization, from).await.unwrap();
        assert_eq!(verified.events, EVENTS - from + 1, "{from}");
    }
    // Whoever remembers a later position has seen events that are gone.
    for from in [EVENTS + 2, i64::MAX] {
        let gone = world.verify_of(world.organization, from).await;
        let named =
            matches!(gone, Err(Unverified::Broken(Broken::Event(at, Problem::Missing))) if at == from - 1);
        assert!(named, "{from}: {gone:?}");
    }
}

/// An instant that no call of redflag's is made at; to SQLite, none at all.
fn no_instant(world: &World) -> &'static str {
    match world.database.kind() {
        DatabaseKind::Sqlite => "9223372036854775807",
        DatabaseKind::Postgres => "'20000-01-01'",
    }
}

async fn a_changed_event_is_named(world: &World) {
    let alerts = prepared(world).await;
    let other = alerts[3].uuid().simple();
    let other = match world.database.kind() {
        DatabaseKind::Sqlite => format!("x'{other}'"),
        DatabaseKind::Postgres => format!("'{other}'"),
    };
    for (position, change) in [
        (1, "note = 'x'".to_owned()),
        (5, "changes = replace(changes, '\"A\"', '\"C\"')".to_owned()),
        (6, "changes = '['".to_owned()),
        (EVENTS, "request_id = ''".to_owned()),
        (7, "type = 3".to_owned()),
        (7, "key_name = ''".to_owned()),
        (4, format!("created_at = {}", no_instant(world))),
        (8, "on_behalf_of = 'somebody'".to_owned()),
        (8, "key_name = key_name || ' '".to_owned()),
        (6, "changes = replace(changes, ',', ', ')".to_owned()),
        (2, format!("anomaly_id = {other}, sequence = 9")),
    ] {
        // Each in a database as it was.
        let keep = "CREATE TABLE kept AS SELECT * FROM alert_events";
        world.database.execute(keep).await;
        world
            .database
            .execute(&format!("UPDATE alert_events SET {change} WHERE position = {position}"))
            .await;
        assert_eq!(broken(world).await, Broken::Event(position, Problem::Changed), "{change}");
        if position > 1 {
            let from = world.verify_of(world.organization, position).await;
            let found = matches!(from, Err(Unverified::Broken(Broken::Event(at, _))) if at == position);
            assert!(found, "{change}: {from:?}");
        }
        let restore =
            "DELETE FROM alert_events; INSERT INTO alert_events SELECT * FROM kept; DROP TABLE kept";
        world.database.execute(restore).await;
        world.assert_sound().await;
    }
}

async fn a_deleted_event_is_named(world: &World) {
    prepared(world).await;
    world.database.execute(&format!("DELETE FROM alert_events WHERE position = {EVENTS}")).await;
    assert_eq!(broken(world).await, Broken::Event(EVENTS, Problem::Missing));
    world.database.execute("DELETE FROM alert_events WHERE position = 6").await;
    assert_eq!(broken(world).await, Broken::Event(6, Problem::Missing));
    // Those after it are moved up to hide the gap.
    for position in 7..EVENTS {
        let moved = format!("UPDATE alert_events SET position = {position} - 1 WHERE position = {position}");
        world.database.execute(&moved).await;
    }
    assert_eq!(broken(world).await, Broken::Event(6, Problem::Missing));
    world.database.execute("DELETE FROM alert_events WHERE position = 1").await;
    assert_eq!(broken(world).await, Broken::Event(1, Problem::Missing));
    world.database.execute("DELETE FROM alert_events").await;
    assert_eq!(broken(world).await, Broken::Event(1, Problem::Missing));
}

async fn swapped_events_are_named(world: &World) {
    prepared(world).await;
    for (from, to) in [(4, 999), (5, 4), (999, 5)] {
        let moved = format!("UPDATE alert_events SET position = {to} WHERE position = {from}");
        world.database.execute(&moved).await;
    }
    assert_eq!(broken(world).await, Broken::Event(4, Problem::Reordered(5)));
}

async fn a_rewritten_link_is_named(world: &World) {
    prepared(world).await;
    let zeros = match world.database.kind() {
        DatabaseKind::Sqlite => "zeroblob(32)",
        DatabaseKind::Postgres => "decode(repeat('00', 32), 'hex')",
    };
    world.database.execute(&format!("UPDATE alert_events SET hash = {zeros} WHERE position = 9")).await;
    assert_eq!(broken(world).await, Broken::Event(9, Problem::Changed));
    let link = format!("UPDATE alert_events SET previous_hash = {zeros} WHERE position = 3");
    world.database.execute(&link).await;
    assert_eq!(broken(world).await, Broken::Event(3, Problem::Changed));
}

async fn a_changed_head_is_named(world: &World) {
    prepared(world).await;
    let head = world.store.head(world.organization).await.unwrap().unwrap();
    world.database.execute("UPDATE event_heads SET position = position - 1").await;
    assert!(matches!(broken(world).await, Broken::Head(found) if found.position == EVENTS - 1));
    world.database.execute("UPDATE event_heads SET position = position + 2").await;
    assert_eq!(broken(world).await, Broken::Event(EVENTS + 1, Problem::Missing));
    // Set back to an earlier event, as if the later ones had never been.
    let earlier =
        "UPDATE event_heads SET position = 6, hash = (SELECT hash FROM alert_events WHERE position = 6)";
    world.database.execute(earlier).await;
    assert!(matches!(broken(world).await, Broken::Head(found) if found.position == 6));
    assert_eq!(head.position, EVENTS);
}

async fn a_changed_alert_is_named(world: &World) {
    let alerts = prepared(world).await;
    for (field, change) in [
        ("title", "title = 'Harmless'"),
        ("description", "description = 'Nothing happened.'"),
        ("assigned_to", "assigned_to = 'nobody'"),
        ("severity", "severity = 1"),
        ("status", "status = 'FLAGGED', status_class = 1"),
        ("type", "type = 1"),
        ("disposition", "disposition = 3"),
        ("closed_at", "closed_at = NULL"),
        ("closed_by", "closed_by = NULL"),
        ("dedup_key", "dedup_key = 'other'"),
        ("disposition_reason", "disposition_reason = 'Why'"),
        ("previous_anomaly_id", "previous_anomaly_id = anomaly_id"),
        ("last_occurred_at", "last_occurred_at = updated_at"),
        ("version", "version = version + 1"),
        ("updated_at", "updated_at = created_at"),
        ("occurrence_count", "occurrence_count = 2"),
        ("description", "description = ''"),
        ("metadata", "metadata = '{\"a\": 1}'"),
    ] {
        world.database.execute("CREATE TABLE kept AS SELECT * FROM alerts").await;
        let newest = "anomaly_id = (SELECT anomaly_id FROM alert_events WHERE position = 4)";
        world.database.execute(&format!("UPDATE alerts SET {change} WHERE {newest}")).await;
        let expected = Broken::Alert(alerts[1], Disagreement::Row(field.to_owned()));
        assert_eq!(broken(world).await, expected, "{change}");
        world
            .database
            .execute("DELETE FROM alerts; INSERT INTO alerts SELECT * FROM kept; DROP TABLE kept")
            .await;
        world.assert_sound().await;
    }
    let odd = "UPDATE alerts SET metadata = '[]' WHERE dedup_key = '0'";
    world.database.execute(odd).await;
    assert!(matches!(broken(world).await, Broken::Alert(id, _) if id == alerts[0]));
    world.database.execute("UPDATE alerts SET metadata = '{}' WHERE dedup_key = '0'").await;
    world.database.execute("UPDATE alerts SET sequence = sequence - 1 WHERE dedup_key = '1'").await;
    assert!(matches!(broken(world).await, Broken::Alert(id, _) if id == alerts[1]));
    world.database.execute("UPDATE alerts SET sequence = sequence + 2 WHERE dedup_key = '1'").await;
    assert_eq!(broken(world).await, Broken::Alert(alerts[1], Disagreement::MissingEvents));
}

async fn a_removed_alert_is_named(world: &World) {
    let alerts = prepared(world).await;
    world.database.execute("DELETE FROM alerts WHERE dedup_key = '2'").await;
    assert_eq!(broken(world).await, Broken::AlertMissing(alerts[2]));
    let from = world.verify_of(world.organization, 7).await;
    let is_missed = matches!(from, Err(Unverified::Broken(Broken::AlertMissing(id))) if id == alerts[2]);
    assert!(is_missed, "{from:?}");
}
