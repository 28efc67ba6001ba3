//! Flagging alerts and reading them back.

use redflag::domain::{Alert, AlertFilter, Disposition, EntityType, NewAlert, Severity, StatusClass};
use redflag::store::StoreError;

use super::on_every_store;
use super::world::{Changes, World, entities, key, metadata, text};
use crate::support::instant;

on_every_store!(
    a_new_alert_is_what_was_flagged_with_version_one,
    an_alert_is_read_as_flagging_answered_it,
    an_unknown_status_is_refused_and_nothing_is_kept,
    the_class_of_an_alert_is_its_status_s,
    an_id_that_is_taken_is_an_internal_error_and_nothing_is_overwritten,
    text_of_every_kind_comes_back_unchanged,
    times_come_back_to_the_microsecond,
    metadata_comes_back_exactly,
);

fn full(world: &World) -> NewAlert {
    NewAlert {
        kind: EntityType::Identity,
        entities: entities(&["idt_2", "bln_9", "bal_1", "txn_B", "txn_a", "idt_1"]),
        severity: Severity::High,
        assigned_to: text("ada@example.com"),
        escalated_to: vec![text("zoe"), text("bob")],
        metadata: metadata(r#"{"rule": "velocity"}"#),
        ..world.alert()
    }
}

async fn a_new_alert_is_what_was_flagged_with_version_one(world: &World) {
    let new = full(world);
    let alert = world.flag(new.clone()).await;
    let expected = Alert {
        organization_id: world.organization,
        id: new.id,
        title: new.title,
        description: new.description,
        kind: EntityType::Identity,
        entities: new.entities,
        status: key("FLAGGED"),
        status_class: StatusClass::Open,
        severity: Severity::High,
        assigned_to: new.assigned_to,
        escalated_to: new.escalated_to,
        metadata: new.metadata,
        disposition: Disposition::Unspecified,
        disposition_reason: text(""),
        closed_at: None,
        closed_by: None,
        dedup_key: None,
        occurrence_count: 1,
        last_occurred_at: world.change().at,
        previous_anomaly_id: None,
        sequence: 1,
        version: 1,
        created_at: world.change().at,
        updated_at: world.change().at,
    };
    assert_eq!(alert, expected);
}

async fn an_alert_is_read_as_flagging_answered_it(world: &World) {
    let alert = world.flag(full(world)).await;
    assert_eq!(world.read(alert.id).await, Some(alert.clone()));
    let page = world.store.alerts(&world.query(AlertFilter::default())).await.unwrap();
    assert_eq!(page.items, [alert]);
}

async fn an_unknown_status_is_refused_and_nothing_is_kept(world: &World) {
    let alert = NewAlert { status: key("NO_SUCH"), ..full(world) };
    let id = alert.id;
    let refused = world.store.flag(alert, &world.change()).await;
    assert!(matches!(refused, Err(StoreError::UnknownStatus(unknown)) if unknown == key("NO_SUCH")));
    assert_eq!(world.read(id).await, None);
    assert!(world.find(AlertFilter::default()).await.is_empty());
    for filter in [
        AlertFilter { entity_ids: full(world).entities.balances, ..AlertFilter::default() },
        AlertFilter { escalated_to: Some(text("zoe")), ..AlertFilter::default() },
    ] {
        assert!(world.find(filter).await.is_empty());
    }
}

async fn the_class_of_an_alert_is_its_status_s(world: &World) {
    world.add_status("PENDING").await;
    for (status, class) in [
        ("FLAGGED", StatusClass::Open),
        ("INVESTIGATING", StatusClass::InProgress),
        ("PENDING", StatusClass::InProgress),
        ("RESOLVED", StatusClass::Closed),
    ] {
        let alert = world.flag_in(status).await;
        assert_eq!((alert.status.as_str(), alert.status_class), (status, class));
        assert_eq!(world.read(alert.id).await, Some(alert));
    }
}

async fn an_id_that_is_taken_is_an_internal_error_and_nothing_is_overwritten(world: &World) {
    let first = world.flag(world.alert()).await;
    let second = NewAlert { id: first.id, title: text("Another"), ..full(world) };
    let refused = world.store.flag(second, &world.change()).await;
    assert!(matches!(refused, Err(StoreError::Internal(_))));
    assert_eq!(world.read(first.id).await, Some(first));
}

async fn text_of_every_kind_comes_back_unchanged(world: &World) {
    for written in [
        "😀 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u{10FFFF}",
        "e\u{301} is not é",
        "\u{202E}RTL שלום مرحبا\u{202C}",
        r#"quotes ' '' " "" ` and \ \\ \n \u0041 $1 ? :name @p {} [] NULL"#,
        "100% _under_ %_%",
        "\tline one\n\nline three ",
        "\u{FEFF}\u{200B}\u{FFFD}\u{FFFF}",
        " ",
    ] {
        let alert = world
            .flag(NewAlert {
                title: text(written),
                description: text(written),
                assigned_to: text(written),
                escalated_to: vec![text(written), text("bob")],
                ..world.alert()
            })
            .await;
        assert_eq!(alert.title.as_str(), written);
        assert_eq!(world.read(alert.id).await.as_ref(), Some(&alert));
        let assigned = AlertFilter { assigned_to: Some(text(written)), ..AlertFilter::default() };
        assert_eq!(world.find(assigned).await, [alert.id], "{written:?}");
        let escalated = AlertFilter { escalated_to: Some(text(written)), ..AlertFilter::default() };
        assert_eq!(world.find(escalated).await, [alert.id], "{written:?}");
    }
}

async fn times_come_back_to_the_microsecond(world: &World) {
    for written in [
        "1901-02-03T04:05:06.000001Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
        "2024-02-29T23:59:59.123456Z",
        "2016-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59.999999Z",
    ] {
        world.clock.set(instant(written));
        let alert = world.flag(world.alert()).await;
        assert_eq!(alert.created_at, instant(written));
        assert_eq!(world.read(alert.id).await, Some(alert));
    }
}

async fn metadata_comes_back_exactly(world: &World) {
    for written in [
        "{}",
        r#"{"b": 1, "a": 2, "": null, "ß": [true, false, null, "x", {"y": []}]}"#,
        r#"{"n": [0, -1, 9007199254740991, -9007199254740991, 0.1, 1.5, -2.25, 1e-300, 5e-324, 123456.789012345]}"#,
        r#"{"n": [3.141592653589793, 0.30000000000000004, 2.220446049250313e-16, 1234567890.1234567]}"#,
        r#"{"s": "'\"\\ \n\t %_ 😀 e\u0301 \u202e", "😀": {"$1": "?"}}"#,
        r#"{"1": [[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]}"#,
    ] {
        let alert = world.flag(NewAlert { metadata: metadata(written), ..world.alert() }).await;
        let read = world.read(alert.id).await.unwrap();
        assert_eq!(read.metadata, metadata(written), "{written}");
    }
}
