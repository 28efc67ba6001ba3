//! Authors of every kind: stored, read back, hashed and verified.

use redflag::domain::{Actor, AlertPatch, ChangeContext, KeyId, Person, SourceId};
use serde_json::Value;
use uuid::Uuid;

use super::history::feed;
use super::on_every_store;
use super::world::{Changes, World, key, text};
use crate::cli::audit::verifier;

on_every_store!(
    every_kind_of_author_is_kept_and_verified,
    an_author_of_another_kind_breaks_the_hash,
    columns_that_fit_no_kind_are_refused
);

fn authors() -> [Actor; 6] {
    let id = Uuid::from_u128(7);
    let key = |on_behalf_of: Option<Person>| Actor::Key {
        id: KeyId::from_uuid(id),
        name: text("ci"),
        on_behalf_of,
    };
    [
        key(None),
        key(Some(text("Ana \"😀\""))),
        Actor::Person { issuer: text("https://id.example.com"), subject: text("00u1"), name: text("Ana") },
        Actor::Source { id: SourceId::from_uuid(id), name: text("ledger") },
        Actor::System { name: text("retention") },
        Actor::migration(),
    ]
}

async fn every_kind_of_author_is_kept_and_verified(world: &World) {
    for actor in authors() {
        let context = ChangeContext { actor: actor.clone(), ..world.change() };
        let alert = world.store.flag(world.alert(), &context).await.unwrap();
        let close = AlertPatch { status: Some(key("RESOLVED")), ..AlertPatch::default() };
        let context = ChangeContext { actor: actor.clone(), ..world.change() };
        world.store.update_alert(world.organization, alert.id, &close, &context).await.unwrap();
        assert_eq!(world.read(alert.id).await.unwrap().closed_by, Some(actor));
    }
    let events = feed(world, world.organization).await;
    let kept: Vec<_> = events.iter().step_by(2).map(|event| event.actor.clone()).collect();
    assert_eq!(kept, authors());
    world.assert_sound().await;
    let line = |event: &redflag::domain::AlertEvent| format!("{}\n", Value::Object(event.to_json()));
    let exported: String = events.iter().map(line).collect();
    let verified = verifier(&[], &exported);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

async fn an_author_of_another_kind_breaks_the_hash(world: &World) {
    let system = Actor::System { name: text("retention") };
    let context = ChangeContext { actor: system, ..world.change() };
    world.store.flag(world.alert(), &context).await.unwrap();
    let event = feed(world, world.organization).await.remove(0);
    let source = Actor::Source { id: SourceId::from_uuid(Uuid::nil()), name: text("retention") };
    let changed = redflag::domain::AlertEvent { actor: source, ..event.clone() };
    assert_ne!(changed.compute_hash(), event.compute_hash());
}

/// The check of migration 7, past the store.
async fn columns_that_fit_no_kind_are_refused(world: &World) {
    let alert = world.flag(world.alert()).await;
    assert_eq!(alert.sequence, 1);
    let insert = |place: i64, actor: &str| {
        format!(
            "INSERT INTO alert_events (organization_id, position, anomaly_id, sequence, event_id, type, key_id, key_name, \
             changes, note, request_id, created_at, previous_hash, hash, actor_kind, actor_issuer, actor_subject, \
             on_behalf_of) SELECT organization_id, {place}, anomaly_id, {place}, event_id, type, key_id, key_name, \
             changes, note, request_id, created_at, previous_hash, hash, {actor} FROM alert_events WHERE position = 1"
        )
    };
    for actor in [
        "5, NULL, NULL, NULL",
        "1, 'https://id', '00u1', NULL",
        "2, NULL, '00u1', NULL",
        "2, 'https://id', '00u1', 'ana'",
        "3, NULL, NULL, 'ana'",
        "4, 'https://id', NULL, NULL",
    ] {
        assert!(world.database.try_execute(&insert(2, actor)).await.is_err(), "{actor}");
    }
    for (place, actor) in
        [(2, "1, NULL, NULL, 'ana'"), (3, "2, 'https://id', '00u1', NULL"), (4, "4, NULL, NULL, NULL")]
    {
        world.database.try_execute(&insert(place, actor)).await.unwrap();
    }
}
