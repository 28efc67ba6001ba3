//! gRPC-Web over HTTP/1.1, as a browser speaks it; and bytes that no client library would send.

use http::HeaderValue;
use proptest::{prelude::*, strategy::ValueTree};
use prost::Message;
use redflag::grpc::pb::FlagEntityResponse;
use reqwest::Response;

use super::{flag, framed, framed_bytes};
use crate::support::{DatabaseKind, TestApp, TestDatabase, app::KEY};

const FLAG: &str = "/redflag.v1.AlertService/FlagEntity";

async fn post(app: &TestApp, path: &str, body: Vec<u8>) -> Response {
    request(app, path, body).send().await.unwrap()
}

fn request(app: &TestApp, path: &str, body: Vec<u8>) -> reqwest::RequestBuilder {
    let request = app.rest_without_key(reqwest::Method::POST, path);
    let request = request.header("content-type", "application/grpc-web+proto").header("x-grpc-web", "1");
    request.header("authorization", format!("Bearer {KEY}")).body(body)
}

/// The gRPC status of a gRPC-Web answer: in its headers, or in the trailers that end the body.
async fn grpc_status(response: Response) -> String {
    if let Some(status) = response.headers().get("grpc-status") {
        return status.to_str().unwrap().to_owned();
    }
    let body = response.bytes().await.unwrap();
    let text = String::from_utf8_lossy(&body).into_owned();
    let (_, after) = text.split_once("grpc-status:").unwrap_or_else(|| panic!("no status in {text:?}"));
    after.trim_start().chars().take_while(char::is_ascii_digit).collect()
}

#[tokio::test]
async fn a_browser_can_flag_an_entity() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let response = post(&app, FLAG, framed(&flag("bln_1"))).await;
    assert_eq!(response.status(), 200);
    let body = response.bytes().await.unwrap();
    let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
    let message = FlagEntityResponse::decode(&body[5..5 + length]).unwrap();
    assert_eq!(message.alert.unwrap().affected_balances, ["bln_1"]);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let origin = HeaderValue::from_static("https://console.example.com");
    let app = TestApp::start_with(database, |config| config.allow_origins = vec![origin.clone()]).await;
    let preflight = async |from: &str| {
        let request = app.rest_without_key(reqwest::Method::OPTIONS, FLAG).header("origin", from);
        let request = request.header("access-control-request-method", "POST");
        let request =
            request.header("access-control-request-headers", "authorization,x-grpc-web,content-type");
        request.send().await.unwrap().headers().get("access-control-allow-origin").cloned()
    };
    assert_eq!(preflight("https://console.example.com").await, Some(origin));
    assert_eq!(preflight("https://elsewhere.example.com").await, None);
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for body in [framed_bytes(&[0xff; 40]), framed_bytes(&[0x0a, 0x02, 0xc3, 0x28]), Vec::new()] {
        assert_eq!(grpc_status(post(&app, FLAG, body).await).await, "3");
    }
}

#[tokio::test]
async fn random_bytes_cause_no_internal_error() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let methods = ["FlagEntity", "UpdateAlert", "GetAlert", "ListAlerts"];
    let cases = (prop::collection::vec(any::<u8>(), 0..200), prop::sample::select(methods.to_vec()));
    for _ in 0..300 {
        let (bytes, method) = cases.new_tree(&mut runner).unwrap().current();
        let status = post(&app, &format!("/redflag.v1.AlertService/{method}"), framed_bytes(&bytes)).await;
        // OK where the bytes happen to be a message, otherwise INVALID_ARGUMENT or NOT_FOUND.
        let status = grpc_status(status).await;
        assert!(["0", "3", "5"].contains(&status.as_str()), "{method} answers {status} to {bytes:?}");
    }
}
