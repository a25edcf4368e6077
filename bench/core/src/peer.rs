//! RustStream on its own in-memory broker: a consumer with a cap on attempts and a dead letter
//! destination. It has no memory of what was done.

use std::{
    convert::Infallible,
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use ruststream::{
    OutgoingMessage,
    memory::prelude::*,
    runtime::{BlanketLayer, Handler, Layer},
};
use tokio::runtime::Runtime;

use crate::{
    case::Prepared,
    latch::Latch,
    shop::{Invoice, Order},
};

/// What its handlers share.
struct Shop {
    handled: Latch,
    /// How many deliveries fail, from the first on: its in-memory broker does not say which attempt a
    /// delivery is.
    failures: AtomicUsize,
}

#[subscriber("orders")]
async fn ship(order: &Order, cx: &mut Context<'_, (), Shop>) -> HandlerOutcome {
    black_box((order.id, order.quantity));
    cx.state().handled.arrived(1);
    HandlerOutcome::ack()
}

#[subscriber("orders", workers(16))]
async fn ship_sixteen(order: &Order, cx: &mut Context<'_, (), Shop>) -> HandlerOutcome {
    black_box((order.id, order.quantity));
    cx.state().handled.arrived(1);
    HandlerOutcome::ack()
}

#[subscriber("orders")]
async fn ship_flaky(order: &Order, cx: &mut Context<'_, (), Shop>) -> HandlerOutcome {
    let shop = cx.state();
    let fail = |left: usize| left.checked_sub(1);
    if shop.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fail).is_ok() {
        return HandlerOutcome::retry_after(Duration::from_millis(1));
    }
    black_box((order.id, order.quantity));
    shop.handled.arrived(1);
    HandlerOutcome::ack()
}

#[subscriber("orders")]
async fn book(invoice: &Invoice, cx: &mut Context<'_, (), Shop>) -> HandlerOutcome {
    black_box((invoice.id, &invoice.customer, &invoice.address));
    for line in &invoice.lines {
        black_box((&line.article, line.quantity, line.cents));
    }
    cx.state().handled.arrived(1);
    HandlerOutcome::ack()
}

/// A layer that does nothing.
#[derive(Clone)]
struct Pass;

struct Passing<H>(H);

impl<H> Layer<H> for Pass {
    type Handler = Passing<H>;

    fn layer(&self, inner: H) -> Passing<H> {
        Passing(inner)
    }
}

impl<M: Send + Sync, C: Send, S: Send + Sync, H: Handler<M, C, S>> Handler<M, C, S> for Passing<H> {
    async fn handle(&self, message: &M, cx: &mut Context<'_, C, S>) -> HandlerOutcome {
        self.0.handle(message, cx).await
    }
}

impl BlanketLayer for Pass {
    fn apply<M, C, S, H>(&self, handler: H) -> impl Handler<M, C, S> + 'static
    where
        M: Send + Sync + 'static,
        C: Send + 'static,
        S: Send + Sync + 'static,
        H: Handler<M, C, S> + 'static,
    {
        Passing(handler)
    }
}

/// Which of the services is run.
#[derive(Clone, Copy)]
pub(crate) enum Service {
    Ship,
    ShipSixteen,
    ShipFlaky,
    Book,
    OneLayer,
    FourLayers,
}

/// Starts the service and fills its queue.
pub(crate) fn prepare(runtime: Runtime, service: Service, payloads: &[Bytes]) -> Prepared {
    let handled = Latch::new(payloads.len());
    let failures = AtomicUsize::new(match service {
        Service::ShipFlaky => payloads.len() / 2,
        _ => 0,
    });
    let shop = Shop { handled: handled.clone(), failures };
    let broker = MemoryBroker::new();
    let publisher = broker.publisher();
    let app = RustStream::new(AppInfo::new("bench", "0.0.0"))
        .on_startup(async move |()| Ok::<_, Infallible>(shop));
    /// Mounts a handler under the policy that ours has too.
    macro_rules! start {
        ($app:expr, $handler:expr) => {
            runtime.block_on(
                $app.with_broker(broker, |mount| {
                    mount.include($handler).max_attempts(nonzero!(5u32)).dead_letter("orders.dead");
                })
                .start(),
            )
        };
    }
    let running = match service {
        Service::Ship => start!(app, ship),
        Service::ShipSixteen => start!(app, ship_sixteen),
        Service::ShipFlaky => start!(app, ship_flaky),
        Service::Book => start!(app, book),
        Service::OneLayer => start!(app.layer(Pass), ship),
        Service::FourLayers => {
            start!(app.layer(Pass).layer(Pass).layer(Pass).layer(Pass), ship)
        }
    }
    .expect("the service starts");
    runtime.block_on(async {
        for payload in payloads {
            let message = OutgoingMessage::new("orders", payload.as_ref());
            publisher.publish(message, None).await.expect("a publish in this process");
        }
    });
    Prepared::new(runtime, async move {
        handled.opened().await;
        black_box(&running);
    })
}
