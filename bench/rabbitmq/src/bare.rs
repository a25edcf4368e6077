//! Loops on the bare client.

use anyhow::{Context as _, Result};
use bench_measure::{Meter, Order};
use futures::{FutureExt as _, StreamExt as _, future::try_join_all};
use lapin::{
    Connection, ConnectionProperties, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};

/// Acks each message when it has been decoded and counted. An ack counts once it has been written.
pub(crate) async fn consume(
    url: String,
    queue: &'static str,
    prefetch: u16,
    tuned: bool,
    meter: Meter,
) -> Result<()> {
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    let mut consumer = channel
        .basic_consume(
            ShortString::from(queue),
            ShortString::from("bare"),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    match tuned {
        false => one_by_one(&mut consumer, &meter).await?,
        true => what_is_there(&mut consumer, &meter).await?,
    }
    Ok(connection.close(200, ShortString::from("measured")).await?)
}

/// As the client's manual shows it: each ack is waited for, which is a way to another thread and back.
async fn one_by_one(consumer: &mut Consumer, meter: &Meter) -> Result<()> {
    while !meter.is_over() {
        let delivery = next(consumer).await?;
        meter.handled(&Order::from_json(&delivery.data)?);
        delivery.ack(BasicAckOptions::default()).await?;
        meter.settled(1);
    }
    Ok(())
}

/// Waits for the acks of everything that has arrived together.
async fn what_is_there(consumer: &mut Consumer, meter: &Meter) -> Result<()> {
    let mut there = Vec::new();
    while !meter.is_over() {
        there.push(next(consumer).await?);
        while let Some(delivery) = next(consumer).now_or_never() {
            there.push(delivery?);
        }
        for delivery in &there {
            meter.handled(&Order::from_json(&delivery.data)?);
        }
        try_join_all(there.iter().map(|one| one.ack(BasicAckOptions::default()))).await?;
        meter.settled(there.len() as u64);
        there.clear();
    }
    Ok(())
}

async fn next(consumer: &mut Consumer) -> Result<Delivery> {
    Ok(consumer.next().await.context("the server ended the consumer")??)
}
