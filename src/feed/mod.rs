//! The event feed as a thing of its own: read in bounded pages, and followed as it grows.

mod follower;
mod hub;
mod reader;
mod tail;

pub use self::{
    follower::{Feed, Follower},
    hub::Hub,
    reader::{FeedReader, SignatureReader},
};
