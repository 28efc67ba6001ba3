//! Keys and scopes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redflag::{
    domain::SystemClock,
    grpc::pb::{
        Alert, CreateAlertStatusRequest, DeleteAlertStatusRequest, EscalateAlertRequest, FlagEntityRequest,
        GetAlertRequest, GetAuditHeadRequest, ListAlertEventsRequest, ListAlertStatusesRequest,
        ListAlertsRequest, ListEventsRequest, UpdateAlertRequest, UpdateAlertStatusRequest,
    },
};
use rstest::rstest;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::{code_and_reason, flag, flagged, reason};
use crate::support::{
    DatabaseKind, TestApp,
    keys::{beside, make_key},
    with_key,
};

async fn list_with(app: &TestApp, key: &str) -> Result<(), Status> {
    app.alerts().list_alerts(with_key(ListAlertsRequest::default(), key)).await.map(drop)
}

/// Waits until `key` is refused; panics after the five seconds that the contract gives.
async fn refused_within_five_seconds(app: &TestApp, key: &str) -> String {
    let started = Instant::now();
    loop {
        match list_with(app, key).await {
            Err(status) => return reason(&status),
            Ok(()) if started.elapsed() > Duration::from_secs(5) => panic!("the key still works"),
            Ok(()) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[tokio::test]
async fn calls_without_a_valid_key_are_refused() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let missing = app.alerts().list_alerts(ListAlertsRequest::default()).await.unwrap_err();
    assert_eq!(code_and_reason(&missing), (Code::Unauthenticated, "AUTH_MISSING_API_KEY".to_owned()));
    for key in ["short", "rf_0123456789012345678901234567890123456789"] {
        let invalid = list_with(&app, key).await.unwrap_err();
        assert_eq!(code_and_reason(&invalid), (Code::Unauthenticated, "AUTH_INVALID_API_KEY".to_owned()));
        assert!(!invalid.message().contains(key));
    }
    let mut basic = Request::new(ListAlertsRequest::default());
    basic.metadata_mut().insert("authorization", "Basic YTpi".parse().unwrap());
    assert_eq!(reason(&app.alerts().list_alerts(basic).await.unwrap_err()), "AUTH_INVALID_API_KEY");
}

#[tokio::test]
async fn the_ledgers_own_header_is_accepted_too() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let mut request = Request::new(ListAlertsRequest::default());
    request.metadata_mut().insert("x-blnk-key", crate::support::app::KEY.parse().unwrap());
    app.alerts().list_alerts(request).await.unwrap();
    // Also beside what a proxy wants to know; but two keys are not tried one after the other.
    for (other, is_accepted) in
        [("Basic YTpi", true), ("Bearer rf_0123456789012345678901234567890123456789", false)]
    {
        let mut request = Request::new(ListAlertsRequest::default());
        request.metadata_mut().insert("x-blnk-key", crate::support::app::KEY.parse().unwrap());
        request.metadata_mut().insert("authorization", other.parse().unwrap());
        assert_eq!(app.alerts().list_alerts(request).await.is_ok(), is_accepted, "{other}");
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_revoked_key_stops_working_within_five_seconds(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let service = beside(&app).await;
    let (id, secret) = make_key(&service, "default", &["alerts:read"], None).await;
    list_with(&app, &secret).await.unwrap();
    service.revoke_key(&id).await.unwrap();
    assert_eq!(refused_within_five_seconds(&app, &secret).await, "AUTH_INVALID_API_KEY");
}

#[tokio::test]
async fn an_expired_key_stops_working_while_it_is_cached() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let service = beside(&app).await;
    let (_, secret) = make_key(&service, "default", &["*"], Some(Duration::from_secs(2))).await;
    list_with(&app, &secret).await.unwrap();
    assert_eq!(refused_within_five_seconds(&app, &secret).await, "AUTH_EXPIRED_API_KEY");
}

#[tokio::test]
async fn the_last_use_of_a_key_is_recorded() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let service = beside(&app).await;
    list_with(&app, crate::support::app::KEY).await.unwrap();
    for _ in 0..100 {
        if service.keys(None).await.unwrap()[0].last_used_at.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the use was not noted");
}

#[tokio::test]
async fn each_call_needs_its_scope_and_no_other() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let service = beside(&app).await;
    for scope in ["alerts:read", "alerts:write", "statuses:write"] {
        let (_, key) = make_key(&service, "default", &[scope], None).await;
        for (needed, result) in every_call(&app, &key).await {
            let status = result.err().filter(|status| status.code() == Code::PermissionDenied);
            assert_eq!(status.is_none(), needed == scope, "{scope} on a call that needs {needed}");
            if let Some(status) = status {
                assert_eq!(reason(&status), "AUTH_INSUFFICIENT_PERMISSIONS");
                let details = status.get_error_details();
                assert_eq!(details.error_info().unwrap().metadata["missing_scope"], needed);
            }
        }
    }
}

/// Makes every call with `key`: the scope it needs, and what came of it.
async fn every_call(app: &TestApp, key: &str) -> Vec<(&'static str, Result<(), Status>)> {
    let (mut alerts, mut audit, mut statuses) = (app.alerts(), app.audit(), app.statuses());
    vec![
        ("alerts:write", alerts.flag_entity(with_key(flag("bln_1"), key)).await.map(drop)),
        ("alerts:write", alerts.update_alert(with_key(UpdateAlertRequest::default(), key)).await.map(drop)),
        (
            "alerts:write",
            alerts.escalate_alert(with_key(EscalateAlertRequest::default(), key)).await.map(drop),
        ),
        ("alerts:read", alerts.get_alert(with_key(GetAlertRequest::default(), key)).await.map(drop)),
        ("alerts:read", alerts.list_alerts(with_key(ListAlertsRequest::default(), key)).await.map(drop)),
        (
            "alerts:read",
            alerts.list_alert_events(with_key(ListAlertEventsRequest::default(), key)).await.map(drop),
        ),
        ("alerts:read", audit.list_events(with_key(ListEventsRequest::default(), key)).await.map(drop)),
        ("alerts:read", audit.get_audit_head(with_key(GetAuditHeadRequest {}, key)).await.map(drop)),
        (
            "alerts:read",
            statuses.list_alert_statuses(with_key(ListAlertStatusesRequest::default(), key)).await.map(drop),
        ),
        (
            "statuses:write",
            statuses.create_alert_status(with_key(CreateAlertStatusRequest::default(), key)).await.map(drop),
        ),
        (
            "statuses:write",
            statuses.update_alert_status(with_key(UpdateAlertStatusRequest::default(), key)).await.map(drop),
        ),
        (
            "statuses:write",
            statuses.delete_alert_status(with_key(DeleteAlertStatusRequest::default(), key)).await.map(drop),
        ),
    ]
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn another_organization_sees_nothing(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let service = beside(&app).await;
    service.create_organization("other").await.unwrap();
    let (_, key) = make_key(&service, "other", &["*"], None).await;
    let alert = flagged(&app, flag("bln_1")).await;
    let get = GetAlertRequest { anomaly_id: alert.anomaly_id.clone() };
    assert_eq!(reason(&app.alerts().get_alert(with_key(get, &key)).await.unwrap_err()), "ALERT_NOT_FOUND");
    let change = Alert { anomaly_id: alert.anomaly_id, title: "mine now".to_owned(), ..Default::default() };
    let change = UpdateAlertRequest { alert: Some(change), update_mask: None, ..Default::default() };
    let refused = app.alerts().update_alert(with_key(change, &key)).await.unwrap_err();
    assert_eq!(reason(&refused), "ALERT_NOT_FOUND");
    let list = app.alerts().list_alerts(with_key(ListAlertsRequest::default(), &key)).await.unwrap();
    assert!(list.into_inner().alerts.is_empty());
    let own = app.alerts().flag_entity(with_key(FlagEntityRequest { ..flag("bln_1") }, &key)).await.unwrap();
    assert_eq!(own.into_inner().alert.unwrap().assigned_to, "ana");
}

#[tokio::test]
async fn a_malformed_actor_is_refused() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let mut request = with_key(flag("bln_1"), crate::support::app::KEY);
    request.metadata_mut().insert("x-redflag-actor", "a".repeat(201).parse().unwrap());
    let refused = app.alerts().flag_entity(request).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "GEN_VALIDATION_ERROR".to_owned()));
    assert!(refused.message().starts_with("x-redflag-actor must be at most 200 characters"), "{refused}");
}

#[tokio::test]
async fn a_key_is_looked_up_once_for_many_calls() {
    use redflag::auth::{Authenticator, Credentials};
    let database = crate::support::TestDatabase::create(DatabaseKind::Sqlite).await;
    let app = TestApp::start_with(database, |_| {}).await;
    let store = app.database().open().await;
    let authenticator = Authenticator::new(Arc::clone(&store), Arc::new(SystemClock));
    let header = format!("Bearer {}", crate::support::app::KEY);
    let presented = || Credentials { authorization: Some(header.as_bytes()), ..Default::default() };
    authenticator.authenticate(presented()).await.unwrap();
    // With the store gone, only the cache can verify the key.
    store.close().await;
    authenticator.authenticate(presented()).await.unwrap();
}
