//! Successful calls.

use prost_types::{Struct, Timestamp, Value, value::Kind};
use redflag::grpc::pb::{
    Alert, AlertStatus, DeleteAlertStatusRequest, EntityType, FlagEntityRequest, GetAlertRequest,
    ListAlertStatusesRequest, ListAlertsRequest, Severity, SortOrder, StatusClass, UpdateAlertStatusRequest,
};
use rstest::rstest;

use super::{create_status, flag, flagged, listed, update};
use crate::support::{DatabaseKind, TestApp, keyed};

fn number(number: f64) -> Value {
    Value { kind: Some(Kind::NumberValue(number)) }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn an_alert_is_flagged_read_changed_and_listed(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let made = flagged(
        &app,
        FlagEntityRequest {
            title: "Überzogen ⚠".to_owned(),
            additional_entity_ids: ["txn_1", "idt_1", "bln_1", "txn_1"].map(str::to_owned).to_vec(),
            severity: Severity::High.into(),
            escalated_to: vec!["ana".to_owned(), "ana".to_owned(), "bo".to_owned()],
            metadata: Some(Struct { fields: [("limit".to_owned(), number(1_000.5))].into() }),
            ..flag("bln_1")
        },
    )
    .await;
    assert!(made.anomaly_id.starts_with("ano_") && made.organization_id.starts_with("org_"));
    assert_eq!((made.r#type(), made.status_class()), (EntityType::Balance, StatusClass::Open));
    assert_eq!((made.status.as_str(), made.version, made.assigned_to.as_str()), ("FLAGGED", 1, "admin"));
    assert_eq!(made.escalated_to, ["ana", "bo"]);
    assert_eq!(made.affected_balances, ["bln_1"]);
    assert_eq!((made.affected_transactions.len(), made.affected_identities.len()), (1, 1));
    assert_eq!(made.metadata.as_ref().unwrap().fields["limit"], number(1_000.5));

    let change =
        Alert { anomaly_id: made.anomaly_id.clone(), status: "resolved".to_owned(), ..Default::default() };
    let changed = update(&app, change, &["status", "severity"]).await.unwrap();
    assert_eq!((changed.status.as_str(), changed.status_class()), ("RESOLVED", StatusClass::Closed));
    assert_eq!(
        (changed.severity(), changed.version, &changed.title),
        (Severity::Unspecified, 2, &made.title)
    );

    let request = GetAlertRequest { anomaly_id: made.anomaly_id.clone() };
    let read = app.alerts().get_alert(keyed(request)).await.unwrap().into_inner().alert.unwrap();
    assert_eq!(read, changed);
    let closed = ListAlertsRequest { status_classes: vec![StatusClass::Closed.into()], ..Default::default() };
    assert_eq!(listed(&app, closed).await.0, [made.anomaly_id]);
}

#[tokio::test]
async fn an_update_that_changes_nothing_leaves_version_and_time_alone() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let made = flagged(&app, flag("idt_1")).await;
    let same = update(&app, made.clone(), &[]).await.unwrap();
    assert_eq!(same, made);
}

#[tokio::test]
async fn assignment_defaults_to_the_keys_owner_and_may_be_nobody() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let nobody = flagged(&app, FlagEntityRequest { assigned_to: Some(String::new()), ..flag("bln_1") }).await;
    let somebody =
        flagged(&app, FlagEntityRequest { assigned_to: Some("ana".to_owned()), ..flag("bln_1") }).await;
    assert_eq!((nobody.assigned_to.as_str(), somebody.assigned_to.as_str()), ("", "ana"));
    let unassigned = ListAlertsRequest { assigned_to: Some(String::new()), ..Default::default() };
    assert_eq!(listed(&app, unassigned).await.0, [nobody.anomaly_id]);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn pages_continue_where_they_ended(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(flagged(&app, flag(&format!("txn_{number}"))).await.anomaly_id);
    }
    let mut request = ListAlertsRequest {
        page_size: 2,
        order: SortOrder::Asc.into(),
        include_total: true,
        ..Default::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = app.alerts().list_alerts(keyed(request.clone())).await.unwrap().into_inner();
        assert_eq!(page.total_size, Some(5));
        seen.push(page.alerts.len());
        made.drain(..page.alerts.len())
            .zip(&page.alerts)
            .for_each(|(id, alert)| assert_eq!(id, alert.anomaly_id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, [2, 2, 1]);
}

#[tokio::test]
async fn time_filters_exclude_their_ends() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let made = flagged(&app, flag("bln_1")).await;
    let at = made.created_at.unwrap();
    let nanos = |shift: i32| Some(Timestamp { nanos: at.nanos + shift, ..at });
    let found = async |after, before| {
        let request =
            ListAlertsRequest { created_after: after, created_before: before, ..Default::default() };
        listed(&app, request).await.0.len()
    };
    assert_eq!(found(Some(at), None).await, 0);
    assert_eq!(found(None, Some(at)).await, 0);
    // Within the microsecond that the stores keep, the alert lies at its beginning.
    assert_eq!(found(nanos(999), None).await, 0);
    assert_eq!(found(None, nanos(1)).await, 1);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn statuses_are_added_changed_listed_and_deleted(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let made = create_status(&app, "Pending Review").await;
    assert_eq!((made.key.as_str(), made.colour.as_str()), ("PENDING_REVIEW", "#3B82F6"));
    assert_eq!(made.class(), StatusClass::InProgress);

    let change =
        AlertStatus { key: "pending_review".to_owned(), name: "Waiting".to_owned(), ..Default::default() };
    let request =
        UpdateAlertStatusRequest { alert_status: Some(change), update_mask: None, ..Default::default() };
    let changed = app.statuses().update_alert_status(keyed(request)).await.unwrap().into_inner();
    let changed = changed.alert_status.unwrap();
    assert_eq!((changed.name.as_str(), &changed.colour), ("Waiting", &made.colour));

    let list = app.statuses().list_alert_statuses(keyed(ListAlertStatusesRequest::default())).await;
    let list = list.unwrap().into_inner();
    assert_eq!(list.alert_statuses, [changed]);
    let builtin: Vec<_> = list.builtin.iter().map(|status| (status.key.as_str(), status.class())).collect();
    assert_eq!(
        builtin,
        [
            ("FLAGGED", StatusClass::Open),
            ("INVESTIGATING", StatusClass::InProgress),
            ("RESOLVED", StatusClass::Closed)
        ]
    );
    assert_eq!(list.allowed_colours.len(), 15);

    let request = DeleteAlertStatusRequest { key: "Pending_Review".to_owned(), ..Default::default() };
    app.statuses().delete_alert_status(keyed(request)).await.unwrap();
    let list = app.statuses().list_alert_statuses(keyed(ListAlertStatusesRequest::default())).await;
    assert!(list.unwrap().into_inner().alert_statuses.is_empty());
}

#[tokio::test]
async fn a_page_stays_within_the_default_limit_of_clients() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    // 120 descriptions of 40,000 bytes are more than the 4 MiB that a client takes at once.
    for number in 0..120 {
        let heavy =
            FlagEntityRequest { description: "🚩".repeat(10_000), ..flag(&format!("txn_{number}")) };
        flagged(&app, heavy).await;
    }
    let (first, token) = listed(&app, ListAlertsRequest { page_size: 1_000, ..Default::default() }).await;
    let rest = ListAlertsRequest { page_size: 1_000, page_token: token, ..Default::default() };
    let (second, token) = listed(&app, rest).await;
    assert!(first.len() > 50 && token.is_empty());
    let distinct: std::collections::HashSet<_> = first.iter().chain(&second).collect();
    assert_eq!(distinct.len(), 120);
}
