//! A server that is killed, is short of memory, or loses its queues: on a node of its own.

mod broker;
mod consumer;
mod node;
