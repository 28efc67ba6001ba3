//! A client that sends garbage gets an error, the process lives, and its memory stays bounded.

use std::{fmt::Write, fs, io, time::Duration};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{DatabaseKind, TestDatabase, app::KEY, process::Process};

/// What the process may keep resident after all of it, in the unoptimised build: far below what was sent to it.
const MOST_RESIDENT_KIB: u64 = 200 * 1024;

/// The server under attack.
struct Target {
    process: Process,
    http: Client,
}

impl Target {
    async fn connect(&self) -> TcpStream {
        let address = self.process.url().trim_start_matches("http://");
        TcpStream::connect(address).await.expect("the server takes connections")
    }

    /// Sends bytes as they stand and reads what comes back; either may end early.
    async fn send(&self, bytes: &[u8]) -> String {
        let mut connection = self.connect().await;
        let _ = connection.write_all(bytes).await;
        let _ = connection.shutdown().await;
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends bytes that must bring an error over HTTP/1.1, or the end of the connection.
    async fn send_in_vain(&self, bytes: &[u8]) {
        let answer = self.send(bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }

    /// A normal call, which must work.
    async fn must_serve(&self) {
        let request = self.http.post(self.url("/alerts/flag/bln_1")).bearer_auth(KEY);
        let answer = request.json(&json!({ "description": "All is well." })).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.process.url())
    }

    fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

#[tokio::test]
async fn garbage_brings_errors_and_the_process_lives_within_bounds() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let target = Target { process: Process::serve(database.url()), http: Client::new() };
    target.must_serve().await;
    random_bytes(&target).await;
    heads_without_end(&target).await;
    deep_values(&target).await;
    a_body_without_end(&target).await;
    a_million_rows(&target).await;
    connections_dropped_mid_request(&target).await;
    slow_bytes(&target).await;
    target.must_serve().await;
    let resident = target.resident_kib();
    assert!(resident < MOST_RESIDENT_KIB, "{resident} KiB are resident");
}

async fn random_bytes(target: &Target) {
    let mut runner = TestRunner::deterministic();
    let bytes = prop::collection::vec(any::<u8>(), 1..1_024);
    for _ in 0..50 {
        let bytes = bytes.new_tree(&mut runner).unwrap().current();
        target.send_in_vain(&bytes).await;
        target.send_in_vain(&[b"POST /alerts/flag/bln_1 HTTP/1.1\r\n", bytes.as_slice()].concat()).await;
        // Frames of HTTP/2 that are none.
        target.send(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes.as_slice()].concat()).await;
    }
}

async fn heads_without_end(target: &Target) {
    let mut head = "GET /alerts HTTP/1.1\r\nhost: x\r\n".to_owned();
    for number in 0..10_000 {
        write!(head, "x-header-{number}: value\r\n").unwrap();
    }
    target.send_in_vain(format!("{head}\r\n").as_bytes()).await;
    for length in [10_000, 100_000, 10_000_000] {
        let long = "x".repeat(length);
        target.send_in_vain(format!("GET /alerts?{long} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        target.send_in_vain(format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        target
            .send_in_vain(
                format!("GET /alerts HTTP/1.1\r\nhost: x\r\nauthorization: {long}\r\n\r\n").as_bytes(),
            )
            .await;
    }
}

async fn deep_values(target: &Target) {
    const DEPTH: usize = 100_000;
    let lists = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    for (body, reason) in [
        (format!("{{\"description\": \"d\", \"metadata\": {{\"a\": {lists}}}}}"), "GEN_MALFORMED_REQUEST"),
        // Unknown fields are passed over however deep; the description is missing.
        (format!("{{\"unknown\": {lists}}}"), "GEN_VALIDATION_ERROR"),
        ("{\"metadata\":".repeat(DEPTH / 2), "GEN_MALFORMED_REQUEST"),
        ("[".repeat(DEPTH), "GEN_MALFORMED_REQUEST"),
    ] {
        let request = target.http.post(target.url("/alerts/flag/bln_1")).bearer_auth(KEY);
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(answer.json::<Value>().await.unwrap()["error_detail"]["code"], reason);
    }
    let message = deep_message(DEPTH);
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let request = target.http.post(target.url("/redflag.v1.AlertService/FlagEntity")).bearer_auth(KEY);
    let request = request.header("content-type", "application/grpc-web+proto");
    let answer = request.body([&[0], length.as_slice(), &message].concat()).send().await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "3");
}

/// A `FlagEntityRequest` whose metadata holds lists in lists, as many as `depth` tells, in less than a mebibyte.
fn deep_message(depth: usize) -> Vec<u8> {
    // Made from the inside out, and turned at the end.
    let mut reversed = Vec::new();
    let mut wrap = |field: u8| {
        let length = reversed.len();
        let mut varint = Vec::new();
        let mut rest = length;
        while rest >= 0x80 {
            varint.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        varint.push(u8::try_from(rest).unwrap());
        reversed.extend(varint.into_iter().rev());
        // Of wire type 2: a length and that many bytes.
        reversed.push(field << 3 | 2);
    };
    for _ in 0..depth {
        // `ListValue.values`, `Value.list_value`.
        wrap(1);
        wrap(6);
    }
    // An entry of `Struct.fields` has its value in field 2; `FlagEntityRequest.metadata`.
    for field in [2, 1, 9] {
        wrap(field);
    }
    reversed.reverse();
    reversed
}

/// Sends up to 100 MB in chunks; the server must stop reading long before.
async fn a_body_without_end(target: &Target) {
    let mut connection = target.connect().await;
    let head = format!(
        "POST /alerts/flag/bln_1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"100000\r\n", vec![b' '; 0x10_0000].as_slice(), b"\r\n"].concat();
    let mut sent = 0;
    let refused: io::Result<()> = async {
        while sent < 100 {
            connection.write_all(&chunk).await?;
            sent += 1;
        }
        Ok(())
    }
    .await;
    assert!(refused.is_err(), "the server has read {sent} MiB");
}

async fn a_million_rows(target: &Target) {
    for size in ["1000000", "99999999999999999999"] {
        let request = target.http.get(target.url(&format!("/alerts?page_size={size}"))).bearer_auth(KEY);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!((1..=1_000).contains(&answer["data"].as_array().unwrap().len()));
    }
}

async fn connections_dropped_mid_request(target: &Target) {
    let whole = format!(
        "POST /alerts/flag/bln_1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{\"description\": "
    );
    for number in 0..2_000 {
        let mut connection = target.connect().await;
        let part = &whole.as_bytes()[..whole.len() * (number % 10) / 9];
        connection.write_all(part).await.unwrap();
        if number % 250 == 0 {
            // Others get their turn; and the queue of connections to be taken never overflows, which would cost seconds.
            target.must_serve().await;
        }
    }
}

/// Connections that send a byte now and then don't keep others from being served.
async fn slow_bytes(target: &Target) {
    let mut slow = Vec::new();
    for _ in 0..300 {
        slow.push(target.connect().await);
    }
    for byte in b"GET /alerts HT" {
        for connection in &mut slow {
            connection.write_all(&[*byte]).await.unwrap();
        }
        tokio::time::timeout(Duration::from_secs(5), target.must_serve()).await.expect("others are served");
    }
}
