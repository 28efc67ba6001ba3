//! Calls whose callers go away at any moment: nothing that was acknowledged to others goes with them.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use redflag::domain::AlertPatch;

use super::on_every_store;
use super::world::{World, new_status, text};

on_every_store!(
    what_is_acknowledged_beside_abandoned_calls_is_there,
    an_abandoned_change_is_whole_or_not_there
);

/// How often a call is looked at before it is given up, at most: more often than any call here takes.
pub const LOOKS: usize = 40;

/// More calls than a store of the tests has connections: each is used again.
const CONNECTIONS: usize = 5;

/// Gives `call` up when it asks to be looked at for the time after `looks`, wherever it is then.
pub async fn abandon<T>(call: impl Future<Output = T>, looks: usize) {
    let (mut call, mut left) = (pin!(call), looks);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        call.as_mut().poll(context).map(drop)
    })
    .await;
}

async fn what_is_acknowledged_beside_abandoned_calls_is_there(world: &World) {
    // Another instance sees only what was committed. It looks at once: a later commit might bring it about.
    let other = world.database.open().await;
    let alert = world.flag(world.alert()).await;
    for looks in 0..LOOKS {
        let patch = AlertPatch { title: Some(text(&format!("{looks}"))), ..AlertPatch::default() };
        abandon(world.update(alert.id, &patch), looks).await;
        for _ in 0..CONNECTIONS {
            let id = world.flag(world.alert()).await.id;
            let found = other.alert(world.organization, id).await.unwrap();
            assert!(found.is_some(), "{id} was acknowledged and is not there, after {looks} looks");
        }
    }
}

async fn an_abandoned_change_is_whole_or_not_there(world: &World) {
    let status = new_status("Odd");
    let created = world.store.create_status(world.organization, status, &world.change()).await;
    let status = created.unwrap().value;
    for looks in 0..LOOKS {
        let before = world.flag(world.alert()).await;
        let patch = AlertPatch {
            status: Some(status.key.clone()),
            escalated_to: Some(vec![text("ana")]),
            ..AlertPatch::default()
        };
        abandon(world.update(before.id, &patch), looks).await;
        let after = world.read(before.id).await.unwrap();
        let is_moved = after.status == status.key && after.escalated_to.len() == 1 && after.version == 2;
        assert!(is_moved || after == before, "{after:?}");
    }
}
