//! What somebody does to the text of events and to the rows of alerts past redflag is found, however little of it there is,
//! and is not washed clean by what happens afterwards.

use redflag::domain::{
    Alert, AlertPatch, AnomalyId, ChangeContext, Disagreement, Disposition, NewAlert, dedup::is_recorded,
};
use redflag::operator::audit::{Broken, Problem, Unverified};

use super::on_every_store;
use super::world::{Changes, World, entities, key, text};
use crate::support::DatabaseKind;

on_every_store!(
    text_that_reads_the_same_is_not_the_same,
    each_field_of_an_alert_that_has_them_all_is_compared,
    a_list_that_is_emptied_filled_or_reordered_is_named,
    a_change_within_what_the_row_counts_alone_is_not_washed_clean,
    a_time_that_was_changed_is_not_washed_clean,
);

async fn broken(world: &World) -> Broken {
    match world.verify().await {
        Err(Unverified::Broken(broken)) => broken,
        other => panic!("{other:?}"),
    }
}

/// A row that disagrees with its history in this field.
fn row(id: AnomalyId, field: &str) -> Broken {
    Broken::Alert(id, Disagreement::Row(field.to_owned()))
}

/// Does `sql` to a table, asserts that `expected` is found then, and brings the table back to what it was.
async fn assert_found(world: &World, table: &str, sql: &str, expected: &Broken) {
    world.database.execute(&format!("CREATE TABLE kept AS SELECT * FROM {table}")).await;
    world.database.execute(sql).await;
    assert_eq!(broken(world).await, *expected, "{sql}");
    let restore = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept");
    world.database.execute(&restore).await;
    world.assert_sound().await;
}

/// A reader that parses events must not take for the original what only parses to it.
async fn text_that_reads_the_same_is_not_the_same(world: &World) {
    let actor = world.actor_for("Ana");
    let context = ChangeContext { actor, note: text("Line one\nline two"), ..world.change() };
    world.store.flag(world.alert(), &context).await.unwrap();
    world.assert_sound().await;
    let (drop_triggers, newline, crlf) = match world.database.kind() {
        DatabaseKind::Sqlite => (
            "DROP TRIGGER alert_events_not_updated; DROP TRIGGER alert_events_not_deleted",
            "char(10)",
            "char(13, 10)",
        ),
        DatabaseKind::Postgres => {
            ("DROP TRIGGER alert_events_immutable ON alert_events", "chr(10)", "chr(13) || chr(10)")
        }
    };
    world.database.execute(drop_triggers).await;
    for change in [
        &format!("note = replace(note, {newline}, {crlf})"),
        "note = note || ' '",
        "note = ' ' || note",
        "on_behalf_of = on_behalf_of || ' '",
        "on_behalf_of = ''",
        "key_name = ' ' || key_name",
        "request_id = request_id || ' '",
        "changes = ' ' || changes",
        &format!("changes = changes || {newline}"),
        "changes = replace(changes, '\"before\":null,\"field\":\"type\"', '\"field\":\"type\",\"before\":null')",
        "changes = replace(changes, '{\"after\":', '{\"after\":1,\"after\":')",
        "changes = replace(changes, 'Large', '\\u004carge')",
        "changes = replace(changes, '\"after\":1,', '\"after\":1.0,')",
    ] {
        let sql = format!("UPDATE alert_events SET {change}");
        assert_found(world, "alert_events", &sql, &Broken::Event(1, Problem::Changed)).await;
    }
}

fn keyed(world: &World, dedup_key: &str) -> NewAlert {
    NewAlert { dedup_key: Some(text(dedup_key)), ..world.alert() }
}

/// Flags an alert, or folds it, a second later than what was before.
async fn flag_later(world: &World, alert: NewAlert) -> Alert {
    world.store.flag(alert, &world.later()).await.unwrap()
}

/// An alert in which every field says something, after another of its key.
async fn rich(world: &World) -> Alert {
    let close = AlertPatch { status: Some(key("RESOLVED")), ..AlertPatch::default() };
    let first = flag_later(world, keyed(world, "rich")).await;
    world.update(first.id, &close).await.unwrap();
    let alert = NewAlert {
        entities: entities(&["bln_1", "bln_2", "txn_1", "txn_2", "idt_1", "idt_2"]),
        escalated_to: vec![text("ana"), text("bo")],
        ..keyed(world, "rich")
    };
    let alert = flag_later(world, alert).await;
    flag_later(world, keyed(world, "rich")).await;
    let decided = AlertPatch {
        disposition: Some(Disposition::GIVEN[0]),
        disposition_reason: Some(text("Seen before.")),
        ..close
    };
    let alert = world.update(alert.id, &decided).await.unwrap();
    world.assert_sound().await;
    alert
}

/// Changes the row of the newest alert.
fn set(change: &str) -> String {
    format!("UPDATE alerts SET {change} WHERE previous_anomaly_id IS NOT NULL")
}

async fn each_field_of_an_alert_that_has_them_all_is_compared(world: &World) {
    let alert = rich(world).await;
    let other = "'{\"key_id\": \"key_00000000-0000-0000-0000-000000000000\", \"key_name\": \"ci\", \
                 \"on_behalf_of\": null}'";
    for (field, change) in [
        ("disposition_reason", "disposition_reason = 'Never seen.'"),
        ("closed_at", "closed_at = created_at"),
        ("closed_by", &format!("closed_by = {other}")),
        ("dedup_key", "dedup_key = NULL"),
        ("previous_anomaly_id", "previous_anomaly_id = NULL"),
        ("previous_anomaly_id", "previous_anomaly_id = anomaly_id"),
        ("created_at", "created_at = updated_at"),
        ("occurrence_count", "occurrence_count = 1"),
        ("occurrence_count", "occurrence_count = 3"),
        ("last_occurred_at", "last_occurred_at = created_at"),
        ("last_occurred_at", "last_occurred_at = updated_at"),
        ("version", "version = version - 1"),
    ] {
        assert_found(world, "alerts", &set(change), &row(alert.id, field)).await;
    }
}

async fn a_list_that_is_emptied_filled_or_reordered_is_named(world: &World) {
    let alert = rich(world).await;
    let list = |entries: &[&str]| match world.database.kind() {
        DatabaseKind::Sqlite if entries.is_empty() => "'[]'".to_owned(),
        DatabaseKind::Sqlite => format!("'[\"{}\"]'", entries.join("\",\"")),
        DatabaseKind::Postgres => format!("'{{{}}}'", entries.join(",")),
    };
    for (field, [one, two, three]) in [
        ("escalated_to", ["ana", "bo", "cy"]),
        ("affected_balances", ["bln_1", "bln_2", "bln_3"]),
        ("affected_transactions", ["txn_1", "txn_2", "txn_3"]),
        ("affected_identities", ["idt_1", "idt_2", "idt_3"]),
    ] {
        for entries in [&[][..], &[one], &[two, one], &[one, three], &[one, two, three]] {
            let sql = set(&format!("{field} = {}", list(entries)));
            assert_found(world, "alerts", &sql, &row(alert.id, field)).await;
        }
    }
}

/// An alert that occurred 25 times: history tells of 20, and next of 30.
async fn repeated(world: &World) -> AnomalyId {
    let alert = flag_later(world, keyed(world, "often")).await;
    fold_until(world, 25).await;
    world.assert_sound().await;
    alert.id
}

/// Flags until the alert says that it occurred so often.
async fn fold_until(world: &World, occurrences: i64) {
    while flag_later(world, keyed(world, "often")).await.occurrence_count != occurrences {}
}

/// What is found where a row is changed and then counted on until history tells of `occurrences`, in a database of its own;
/// it is still found after more has happened.
async fn washed(kind: DatabaseKind, change: &str, occurrences: i64) -> String {
    let world = &World::new(kind).await;
    repeated(world).await;
    world.database.execute(&format!("UPDATE alerts SET {change}")).await;
    broken(world).await;
    assert!(is_recorded(occurrences), "history is silent about {occurrences}");
    fold_until(world, occurrences).await;
    let found = broken(world).await;
    let alert = flag_later(world, keyed(world, "often")).await;
    let patch = AlertPatch { title: Some(text("Another")), ..AlertPatch::default() };
    world.update(alert.id, &patch).await.unwrap();
    assert_eq!(broken(world).await, found, "{change}");
    field_of(found)
}

/// The field in which an alert is found broken.
fn field_of(broken: Broken) -> String {
    match broken {
        Broken::Alert(_, Disagreement::Before(_, field) | Disagreement::Row(field)) => field,
        other => panic!("{other}"),
    }
}

async fn a_change_within_what_the_row_counts_alone_is_not_washed_clean(world: &World) {
    for (field, change, occurrences) in [
        ("occurrence_count", "occurrence_count = 18", 20),
        ("occurrence_count", "occurrence_count = 19, version = 19", 20),
        ("occurrence_count", "occurrence_count = 3999, version = 3999", 4_000),
        // Possible, were it not for the version.
        ("version", "occurrence_count = 21", 30),
        ("version", "occurrence_count = 29", 30),
    ] {
        assert_eq!(washed(world.database.kind(), change, occurrences).await, field, "{change}");
    }
}

async fn a_time_that_was_changed_is_not_washed_clean(world: &World) {
    let future = match world.database.kind() {
        DatabaseKind::Sqlite => "last_occurred_at = 4102444800000000",
        DatabaseKind::Postgres => "last_occurred_at = '2100-01-01T00:00:00Z'",
    };
    assert_eq!(washed(world.database.kind(), future, 30).await, "updated_at");
    let id = repeated(world).await;
    fold_until(world, 29).await;
    // Just before the next occurrence that history tells, which says what the time was before.
    world.database.execute("UPDATE alerts SET last_occurred_at = created_at").await;
    assert_eq!(broken(world).await, row(id, "last_occurred_at"));
    fold_until(world, 30).await;
    assert_eq!(field_of(broken(world).await), "last_occurred_at");
}
