//! What belongs to another organization behaves exactly like what does not exist.

use redflag::domain::{
    Alert, AlertFilter, AlertPatch, AlertQuery, AnomalyId, NewAlert, OrganizationId, PageSize, StatusOrigin,
    StatusPatch,
};
use redflag::store::StoreError;

use super::on_every_store;
use super::world::{Changes, World, entities, ids, key, new_status, text};

on_every_store!(
    another_organization_s_alert_can_t_be_read_or_changed,
    lists_hold_only_the_organization_s_own_alerts,
    another_organization_s_status_is_unknown,
    statuses_of_the_same_key_are_apart,
    an_organization_that_does_not_exist_has_nothing,
);

/// An alert that every filter below would find.
async fn flag_for(world: &World, organization_id: OrganizationId) -> Alert {
    let alert = NewAlert {
        organization_id,
        entities: entities(&["bln_1", "bln_2"]),
        assigned_to: text("ada"),
        escalated_to: vec![text("bob")],
        ..world.alert()
    };
    world.flag(alert).await
}

async fn another_organization_s_alert_can_t_be_read_or_changed(world: &World) {
    let other = world.add_organization("other").await;
    let alert = flag_for(world, world.organization).await;
    let missing = AnomalyId::from_uuid(other.uuid());
    let patch =
        AlertPatch { title: Some(text("Mine")), status: Some(key("RESOLVED")), ..AlertPatch::default() };
    for id in [alert.id, missing] {
        assert_eq!(world.store.alert(other, id).await.unwrap(), None);
        let refused = world.store.update_alert(other, id, &patch, &world.later()).await;
        assert!(matches!(refused, Err(StoreError::NotFound)));
    }
    assert_eq!(world.read(alert.id).await, Some(alert));
}

async fn lists_hold_only_the_organization_s_own_alerts(world: &World) {
    let other = world.add_organization("other").await;
    let alerts = [flag_for(world, world.organization).await, flag_for(world, other).await];
    let filters = [
        AlertFilter::default(),
        AlertFilter { statuses: vec![key("FLAGGED")], ..AlertFilter::default() },
        AlertFilter { assigned_to: Some(text("ada")), ..AlertFilter::default() },
        AlertFilter { escalated_to: Some(text("bob")), ..AlertFilter::default() },
        AlertFilter { entity_ids: alerts[0].entities.balances.clone(), ..AlertFilter::default() },
        AlertFilter {
            entity_ids: alerts[0].entities.balances.clone(),
            escalated_to: Some(text("bob")),
            assigned_to: Some(text("ada")),
            ..AlertFilter::default()
        },
    ];
    for filter in filters {
        for alert in &alerts {
            let query = AlertQuery { organization_id: alert.organization_id, ..world.query(filter.clone()) };
            let page = world.store.alerts(&query).await.unwrap();
            assert_eq!((ids(&page.items), page.total), (vec![alert.id], Some(1)), "{filter:?}");
        }
    }
}

async fn another_organization_s_status_is_unknown(world: &World) {
    let other = world.add_organization("other").await;
    let status = world.add_status("PENDING").await;
    let alert = flag_for(world, other).await;
    let move_to = AlertPatch { status: Some(status.clone()), ..AlertPatch::default() };
    let moved = world.store.update_alert(other, alert.id, &move_to, &world.later()).await;
    assert!(matches!(moved, Err(StoreError::UnknownStatus(_))));
    let new = NewAlert { organization_id: other, status: status.clone(), ..world.alert() };
    let flagged = world.store.flag(new, &world.change()).await;
    assert!(matches!(flagged, Err(StoreError::UnknownStatus(_))));
    let missing = world.store.missing_statuses(other, std::slice::from_ref(&status)).await.unwrap();
    assert_eq!(missing, std::slice::from_ref(&status));
    let patch = StatusPatch { name: Some(text("Mine")), colour: None };
    let updated = world.store.update_status(other, &status, &patch, &world.later()).await;
    assert!(matches!(updated, Err(StoreError::NotFound)));
    let deleted = world.store.delete_status(other, &status, &world.change()).await;
    assert!(matches!(deleted, Err(StoreError::NotFound)));
    let page = world.store.statuses(other, StatusOrigin::Custom, None, PageSize::MAX).await.unwrap();
    assert!(page.items.is_empty());
    world.flag_in("PENDING").await;
}

async fn statuses_of_the_same_key_are_apart(world: &World) {
    let other = world.add_organization("other").await;
    let status = world.add_status("PENDING").await;
    world.store.create_status(other, new_status("PENDING"), &world.change()).await.unwrap();
    world.flag_in("PENDING").await;
    let patch = StatusPatch { name: Some(text("Theirs")), colour: None };
    world.store.update_status(other, &status, &patch, &world.later()).await.unwrap();
    // Not in use there, only here.
    world.store.delete_status(other, &status, &world.change()).await.unwrap();
    let own =
        world.store.statuses(world.organization, StatusOrigin::Custom, None, PageSize::MAX).await.unwrap();
    assert_eq!(own.items.len(), 1);
    assert_eq!(own.items[0].name, text("Waiting for review"));
}

async fn an_organization_that_does_not_exist_has_nothing(world: &World) {
    let nobody = world.organization("nobody").id;
    let alert = world.flag(world.alert()).await;
    assert_eq!(world.store.alert(nobody, alert.id).await.unwrap(), None);
    let query = AlertQuery { organization_id: nobody, ..world.query(AlertFilter::default()) };
    let page = world.store.alerts(&query).await.unwrap();
    assert_eq!((page.items.len(), page.total), (0, Some(0)));
    let new = NewAlert { organization_id: nobody, ..world.alert() };
    assert!(matches!(world.store.flag(new, &world.change()).await, Err(StoreError::UnknownStatus(_))));
    let made = world.store.create_status(nobody, new_status("PENDING"), &world.change()).await;
    assert!(matches!(made, Err(StoreError::NotFound)));
    let flagged = key("FLAGGED");
    let missing = world.store.missing_statuses(nobody, std::slice::from_ref(&flagged)).await.unwrap();
    assert_eq!(missing, [flagged]);
    assert!(world.store.keys(Some(nobody)).await.unwrap().is_empty());
}
