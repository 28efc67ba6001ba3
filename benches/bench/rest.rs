//! The same load over REST: HTTP/1.1 connections that are kept alive, one call at a time on each.

use anyhow::{Context as _, ensure};
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{
    callers::{DESCRIPTION, TITLE},
    ids::Random,
    load::Caller,
    process::KEY,
};

/// Flags a balance that nobody has named before.
pub struct RestFlag {
    connection: SendRequest<Full<Bytes>>,
    authority: String,
    body: Bytes,
    random: Random,
}

impl RestFlag {
    /// Connects to the server at `authority`, `HOST:PORT`.
    pub async fn connect(authority: &str, random: Random) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        let body = serde_json::json!({ "title": TITLE, "description": DESCRIPTION, "severity": "high" });
        Ok(Self { connection, authority: authority.to_owned(), body: body.to_string().into(), random })
    }
}

impl Caller for RestFlag {
    async fn call(&mut self) -> anyhow::Result<()> {
        let entity = self.random.balance_id();
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/alerts/flag/{entity}"))
            .header(header::HOST, &self.authority)
            .header(header::AUTHORIZATION, concat_key())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(self.body.clone()))?;
        self.connection.ready().await?;
        let answer = self.connection.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let body = std::str::from_utf8(&body).context("REST answered no text")?;
        let is_right = status.is_success()
            && body.starts_with(r#"{"anomaly_id":"ano_"#)
            && body.contains(&format!(r#""affected_balances":["{entity}"]"#))
            && body.contains(DESCRIPTION);
        ensure!(is_right, "REST answered {status}: {body}");
        Ok(())
    }
}

fn concat_key() -> String {
    format!("Bearer {KEY}")
}
