//! Changing alerts.

use chrono::TimeDelta;
use redflag::domain::{
    Alert, AlertFilter, AlertPatch, AnomalyId, Disposition, NewAlert, Refusal, Severity, StatusClass,
};
use redflag::store::StoreError;

use super::on_every_store;
use super::world::{Changes, World, entities, entity, key, metadata, text};
use crate::support::instant;

on_every_store!(
    each_field_is_changed_alone,
    all_fields_are_changed_at_once_as_one_change,
    a_patch_that_changes_nothing_leaves_version_and_time,
    an_unknown_alert_is_not_found,
    an_unknown_status_is_refused_and_nothing_changes,
    a_status_moves_the_alert_to_its_class,
    an_alert_is_found_by_the_entities_it_has_now,
    an_alert_is_found_by_whom_it_is_escalated_to_now,
    lists_may_be_emptied_and_filled_again,
    an_alert_always_names_at_least_one_entity,
    an_alert_names_at_most_a_hundred_entities_over_all_lists,
    a_clock_that_goes_backwards_never_moves_updated_at_back,
);

async fn flagged(world: &World) -> Alert {
    world
        .flag(NewAlert {
            entities: entities(&["bln_1", "txn_1", "idt_1"]),
            escalated_to: vec![text("ann"), text("bob")],
            metadata: metadata(r#"{"a": 1}"#),
            ..world.alert()
        })
        .await
}

/// What a patch makes of an alert.
type Change = fn(&mut Alert);

/// A patch and what it makes of an alert, for each field.
fn patches() -> Vec<(AlertPatch, Change)> {
    let none = AlertPatch::default;
    vec![
        (AlertPatch { title: Some(text("New")), ..none() }, |a| a.title = text("New")),
        (AlertPatch { title: Some(text("")), ..none() }, |a| a.title = text("")),
        (AlertPatch { description: Some(text("D")), ..none() }, |a| a.description = text("D")),
        (AlertPatch { status: Some(key("RESOLVED")), ..none() }, |a| {
            a.status = key("RESOLVED");
            a.status_class = StatusClass::Closed;
        }),
        (AlertPatch { severity: Some(Severity::Critical), ..none() }, |a| a.severity = Severity::Critical),
        (AlertPatch { severity: Some(Severity::Unspecified), ..none() }, |a| {
            a.severity = Severity::Unspecified;
        }),
        (AlertPatch { assigned_to: Some(text("zoe")), ..none() }, |a| a.assigned_to = text("zoe")),
        (AlertPatch { assigned_to: Some(text("")), ..none() }, |a| a.assigned_to = text("")),
        (AlertPatch { escalated_to: Some(vec![text("bob"), text("cy")]), ..none() }, |a| {
            a.escalated_to = vec![text("bob"), text("cy")];
        }),
        (AlertPatch { metadata: Some(metadata(r#"{"b": 2.5}"#)), ..none() }, |a| {
            a.metadata = metadata(r#"{"b": 2.5}"#);
        }),
        (AlertPatch { affected_balances: Some(vec![entity("bal_2"), entity("bln_1")]), ..none() }, |a| {
            a.entities.balances = vec![entity("bal_2"), entity("bln_1")];
        }),
        (AlertPatch { affected_transactions: Some(vec![]), ..none() }, |a| a.entities.transactions = vec![]),
        (AlertPatch { affected_identities: Some(vec![entity("idt_3")]), ..none() }, |a| {
            a.entities.identities = vec![entity("idt_3")];
        }),
    ]
}

async fn each_field_is_changed_alone(world: &World) {
    let mut expected = flagged(world).await;
    for (patch, change) in patches() {
        let before = expected.clone();
        change(&mut expected);
        let changed = expected != before;
        let updated = world.update(before.id, &patch).await.unwrap();
        if changed {
            expected.version += 1;
            expected.sequence += 1;
            expected.updated_at = world.change().at;
        }
        if expected.is_closed() && !before.is_closed() {
            expected.closed_at = Some(expected.updated_at);
            expected.closed_by = Some(world.change().actor);
        }
        assert_eq!(updated, expected, "{patch:?}");
        assert_eq!(world.read(before.id).await.as_ref(), Some(&expected), "{patch:?}");
    }
    assert!(expected.version > 10);
}

async fn all_fields_are_changed_at_once_as_one_change(world: &World) {
    let before = flagged(world).await;
    let patch = AlertPatch {
        title: Some(text("New")),
        description: Some(text("D")),
        status: Some(key("INVESTIGATING")),
        severity: Some(Severity::Low),
        assigned_to: Some(text("zoe")),
        escalated_to: Some(vec![text("cy")]),
        metadata: Some(metadata("{}")),
        affected_balances: Some(vec![]),
        affected_transactions: Some(vec![entity("txn_2")]),
        affected_identities: Some(vec![]),
        disposition: Some(Disposition::Inconclusive),
        disposition_reason: Some(text("Nobody can tell.")),
    };
    let after = world.update(before.id, &patch).await.unwrap();
    let expected = Alert {
        title: text("New"),
        description: text("D"),
        status: key("INVESTIGATING"),
        status_class: StatusClass::InProgress,
        severity: Severity::Low,
        assigned_to: text("zoe"),
        escalated_to: vec![text("cy")],
        metadata: metadata("{}"),
        entities: entities(&["txn_2"]),
        disposition: Disposition::Inconclusive,
        disposition_reason: text("Nobody can tell."),
        sequence: 2,
        version: 2,
        updated_at: world.change().at,
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(world.read(before.id).await, Some(expected));
}

async fn a_patch_that_changes_nothing_leaves_version_and_time(world: &World) {
    let alert = flagged(world).await;
    let same = AlertPatch {
        title: Some(alert.title.clone()),
        description: Some(alert.description.clone()),
        status: Some(alert.status.clone()),
        severity: Some(alert.severity),
        assigned_to: Some(alert.assigned_to.clone()),
        escalated_to: Some(alert.escalated_to.clone()),
        metadata: Some(alert.metadata.clone()),
        affected_balances: Some(alert.entities.balances.clone()),
        affected_transactions: Some(alert.entities.transactions.clone()),
        affected_identities: Some(alert.entities.identities.clone()),
        disposition: Some(alert.disposition),
        disposition_reason: Some(alert.disposition_reason.clone()),
    };
    for patch in [AlertPatch::default(), same] {
        assert_eq!(world.update(alert.id, &patch).await.unwrap(), alert);
        assert_eq!(world.read(alert.id).await.as_ref(), Some(&alert));
    }
}

async fn an_unknown_alert_is_not_found(world: &World) {
    let unknown = AnomalyId::from_uuid(world.organization.uuid());
    assert_eq!(world.read(unknown).await, None);
    for (patch, _) in patches() {
        assert!(matches!(world.update(unknown, &patch).await, Err(StoreError::NotFound)));
    }
}

async fn an_unknown_status_is_refused_and_nothing_changes(world: &World) {
    let alert = flagged(world).await;
    let patch = AlertPatch {
        status: Some(key("NO_SUCH")),
        title: Some(text("New")),
        affected_balances: Some(vec![entity("bln_2")]),
        ..AlertPatch::default()
    };
    let refused = world.update(alert.id, &patch).await;
    assert!(matches!(refused, Err(StoreError::UnknownStatus(unknown)) if unknown == key("NO_SUCH")));
    assert_eq!(world.read(alert.id).await, Some(alert));
    assert!(find_by_entity(world, "bln_2").await.is_empty());
}

async fn a_status_moves_the_alert_to_its_class(world: &World) {
    let alert = world.flag_in("FLAGGED").await;
    world.add_status("PENDING").await;
    for (status, class) in [
        ("RESOLVED", StatusClass::Closed),
        ("PENDING", StatusClass::InProgress),
        ("FLAGGED", StatusClass::Open),
    ] {
        let patch = AlertPatch { status: Some(key(status)), ..AlertPatch::default() };
        assert_eq!(world.update(alert.id, &patch).await.unwrap().status_class, class);
        for asked in StatusClass::ALL {
            let filter = AlertFilter { status_classes: vec![asked], ..AlertFilter::default() };
            assert_eq!(world.find(filter).await.len(), usize::from(asked == class));
        }
    }
}

async fn find_by_entity(world: &World, id: &str) -> Vec<AnomalyId> {
    let filter = AlertFilter { entity_ids: vec![entity(id)], ..AlertFilter::default() };
    world.find(filter).await
}

async fn find_by_escalation(world: &World, person: &str) -> Vec<AnomalyId> {
    let filter = AlertFilter { escalated_to: Some(text(person)), ..AlertFilter::default() };
    world.find(filter).await
}

async fn an_alert_is_found_by_the_entities_it_has_now(world: &World) {
    let alert = flagged(world).await;
    let patch = AlertPatch {
        affected_balances: Some(vec![entity("bln_2")]),
        affected_identities: Some(vec![entity("idt_1"), entity("idt_2")]),
        ..AlertPatch::default()
    };
    world.update(alert.id, &patch).await.unwrap();
    for (id, found) in [("bln_1", 0), ("bln_2", 1), ("txn_1", 1), ("idt_1", 1), ("idt_2", 1), ("IDT_2", 0)] {
        let Ok(id) = redflag::domain::EntityId::parse(id) else {
            continue;
        };
        assert_eq!(find_by_entity(world, id.as_str()).await.len(), found, "{id}");
    }
}

async fn an_alert_is_found_by_whom_it_is_escalated_to_now(world: &World) {
    let alert = flagged(world).await;
    let patch = AlertPatch { escalated_to: Some(vec![text("cy"), text("ann")]), ..AlertPatch::default() };
    world.update(alert.id, &patch).await.unwrap();
    for (person, found) in [("ann", 1), ("bob", 0), ("cy", 1), ("Cy", 0)] {
        assert_eq!(find_by_escalation(world, person).await.len(), found, "{person}");
    }
}

async fn lists_may_be_emptied_and_filled_again(world: &World) {
    let alert = flagged(world).await;
    for (people, found) in
        [(vec![], 0), (vec![text("bob")], 1), (vec![], 0), (vec![text("ann"), text("bob")], 1)]
    {
        let patch = AlertPatch { escalated_to: Some(people.clone()), ..AlertPatch::default() };
        assert_eq!(world.update(alert.id, &patch).await.unwrap().escalated_to, people);
        assert_eq!(find_by_escalation(world, "bob").await.len(), found);
    }
}

async fn an_alert_always_names_at_least_one_entity(world: &World) {
    let alert = flagged(world).await;
    let none = AlertPatch {
        affected_balances: Some(vec![]),
        affected_transactions: Some(vec![]),
        affected_identities: Some(vec![]),
        ..AlertPatch::default()
    };
    let refused = world.update(alert.id, &none).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(Refusal::Entities(rule))) if rule.to_string().contains("at least one entity"))
    );
    assert_eq!(world.read(alert.id).await, Some(alert));
}

async fn an_alert_names_at_most_a_hundred_entities_over_all_lists(world: &World) {
    let alert = flagged(world).await;
    let many = |count| Some((0..count).map(|n| entity(&format!("txn_{n}"))).collect());
    let too_many = AlertPatch { affected_transactions: many(99), ..AlertPatch::default() };
    let refused = world.update(alert.id, &too_many).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(Refusal::Entities(rule))) if rule.to_string().contains("at most 100 entities, is 101"))
    );
    assert_eq!(world.read(alert.id).await, Some(alert.clone()));
    let most = AlertPatch { affected_transactions: many(98), ..AlertPatch::default() };
    assert_eq!(world.update(alert.id, &most).await.unwrap().entities.iter().count(), 100);
}

async fn a_clock_that_goes_backwards_never_moves_updated_at_back(world: &World) {
    let alert = flagged(world).await;
    let made = alert.created_at;
    for (step, title, expected) in [
        (TimeDelta::hours(-1), "One", made),
        (TimeDelta::hours(3), "Two", made + TimeDelta::hours(2)),
        (TimeDelta::hours(-9), "Three", made + TimeDelta::hours(2)),
    ] {
        world.clock.step(step);
        let patch = AlertPatch { title: Some(text(title)), ..AlertPatch::default() };
        let updated = world.store.update_alert(world.organization, alert.id, &patch, &world.change()).await;
        assert_eq!(updated.unwrap().updated_at, expected);
        assert_eq!(world.read(alert.id).await.unwrap().updated_at, expected);
    }
    world.clock.set(instant("1969-01-01T00:00:00Z"));
    assert_eq!(world.read(alert.id).await.unwrap().version, 4);
}
