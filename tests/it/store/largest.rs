//! The largest values that the domain allows.

use redflag::domain::{
    AffectedEntities, Alert, AlertFilter, AlertPatch, EntityType, Metadata, NewAlert, Person,
    alert::MAX_ESCALATED_TO,
};
use serde_json::{Map, Value};

use super::on_every_store;
use super::world::{World, entity, ids, text};

on_every_store!(
    the_largest_alert_is_kept_and_found,
    an_alert_grows_to_the_largest_and_shrinks_again,
    a_filter_of_the_most_values_finds_what_it_should,
    pages_hold_up_to_the_most_alerts,
);

/// Four bytes in UTF-8, two units in UTF-16.
const WIDE: &str = "𝄞";

fn people() -> Vec<Person> {
    (0..MAX_ESCALATED_TO).map(|count| text(&format!("{}{count:03}", WIDE.repeat(197)))).collect()
}

fn most_entities() -> AffectedEntities {
    let prefixes = ["bln_", "txn_", "idt_", "bal_"];
    let entities =
        (0..AffectedEntities::MAX).map(|count| entity(&format!("{}{count:064}", prefixes[count % 4])));
    AffectedEntities::sort_in(entities)
}

/// Exactly 16 KiB as JSON.
fn largest_metadata() -> Metadata {
    let frame = r#"{"k":""}"#.len();
    let filler = Metadata::MAX_BYTES - frame;
    let wide = WIDE.repeat(filler / WIDE.len()) + &"x".repeat(filler % WIDE.len());
    let map = Map::from_iter([("k".to_owned(), Value::String(wide))]);
    let metadata = Metadata::parse(map).unwrap();
    assert_eq!(metadata.to_value().to_string().len(), Metadata::MAX_BYTES);
    metadata
}

fn largest(world: &World) -> NewAlert {
    NewAlert {
        title: text(&WIDE.repeat(200)),
        description: text(&WIDE.repeat(10_000)),
        kind: EntityType::Balance,
        entities: most_entities(),
        assigned_to: text(&WIDE.repeat(200)),
        escalated_to: people(),
        metadata: largest_metadata(),
        ..world.alert()
    }
}

async fn assert_found_by_everything(world: &World, alert: &Alert) {
    assert_eq!(world.read(alert.id).await.as_ref(), Some(alert));
    for id in [&alert.entities.balances[0], alert.entities.iter().last().unwrap()] {
        let filter = AlertFilter { entity_ids: vec![id.clone()], ..AlertFilter::default() };
        assert_eq!(world.find(filter).await, [alert.id]);
    }
    let last = alert.escalated_to.last().cloned();
    let filter = AlertFilter { escalated_to: last, ..AlertFilter::default() };
    assert_eq!(world.find(filter).await, [alert.id]);
}

async fn the_largest_alert_is_kept_and_found(world: &World) {
    let alert = world.flag(largest(world)).await;
    assert_eq!(alert.entities, most_entities());
    assert_found_by_everything(world, &alert).await;
}

async fn an_alert_grows_to_the_largest_and_shrinks_again(world: &World) {
    let small = world.flag(world.alert()).await;
    let largest = largest(world);
    let grow = AlertPatch {
        title: Some(largest.title),
        description: Some(largest.description),
        assigned_to: Some(largest.assigned_to),
        escalated_to: Some(largest.escalated_to),
        metadata: Some(largest.metadata),
        affected_balances: Some(largest.entities.balances),
        affected_transactions: Some(largest.entities.transactions),
        affected_identities: Some(largest.entities.identities),
        ..AlertPatch::default()
    };
    let grown = world.update(small.id, &grow).await.unwrap();
    assert_found_by_everything(world, &grown).await;
    let shrink = AlertPatch {
        title: Some(small.title.clone()),
        description: Some(small.description.clone()),
        assigned_to: Some(small.assigned_to.clone()),
        escalated_to: Some(small.escalated_to.clone()),
        metadata: Some(small.metadata.clone()),
        affected_balances: Some(small.entities.balances.clone()),
        affected_transactions: Some(small.entities.transactions.clone()),
        affected_identities: Some(small.entities.identities.clone()),
        ..AlertPatch::default()
    };
    let small_again = world.update(small.id, &shrink).await.unwrap();
    assert_eq!(Alert { version: 1, sequence: 1, updated_at: small.updated_at, ..small_again }, small);
    let filter =
        AlertFilter { entity_ids: most_entities().iter().cloned().collect(), ..AlertFilter::default() };
    assert!(world.find(filter).await.is_empty());
}

async fn a_filter_of_the_most_values_finds_what_it_should(world: &World) {
    let alert = world.flag(largest(world)).await;
    world.flag(world.alert()).await;
    let all: Vec<_> = most_entities().iter().cloned().collect();
    assert_eq!(all.len(), AlertFilter::MAX_VALUES);
    let filter = AlertFilter { entity_ids: all, ..AlertFilter::default() };
    assert_eq!(world.find(filter).await, [alert.id]);

    let mut statuses = Vec::new();
    for count in 0..AlertFilter::MAX_VALUES {
        statuses.push(world.add_status(&format!("{}{count:03}", "S".repeat(61))).await);
    }
    let late = world.flag_in(statuses.last().unwrap().as_str()).await;
    let filter = AlertFilter { statuses, ..AlertFilter::default() };
    assert_eq!(world.find(filter).await, [late.id]);
}

async fn pages_hold_up_to_the_most_alerts(world: &World) {
    let mut flagged = Vec::new();
    for _ in 0..1_001 {
        flagged.push(world.flag(world.alert()).await);
    }
    flagged.reverse();
    let mut query = world.query(AlertFilter::default());
    let first = world.store.alerts(&query).await.unwrap();
    assert_eq!((first.items.len(), first.has_more, first.total), (1_000, true, Some(1_001)));
    query.after = first.items.last().map(Alert::cursor);
    let second = world.store.alerts(&query).await.unwrap();
    assert_eq!((second.items.len(), second.has_more, second.total), (1, false, Some(1_001)));
    assert_eq!([ids(&first.items), ids(&second.items)].concat(), ids(&flagged));
}
