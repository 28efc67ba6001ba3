//! Authors of every kind: stored, read back, hashed and verified.

use redflag::domain::{Actor, AlertPatch, ChangeContext, KeyId, Person, SourceId};
use serde_json::Value;
use uuid::Uuid;

use super::history::feed;
use super::on_every_store;
use super::world::{Changes, World, key, text};
use crate::cli::audit::verifier;

on_every_store!(every_kind_of_author_is_kept_and_verified, an_author_of_another_kind_breaks_the_hash);

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
