//! The servers of one run of the tests: started before the first test, stopped with the run.

use std::{
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};
use steadfast_test_servers::Service;

use crate::{totals::Totals, workspace::Workspace};

/// Stops what it started when it is dropped, and when the run is interrupted.
pub(crate) struct Running {
    started: Arc<Mutex<Vec<Service>>>,
    asked: AtomicBool,
}

impl Running {
    /// Nothing yet. From now on Ctrl-C and SIGTERM stop the servers before they end the run.
    pub(crate) fn stopped_with_us() -> Result<Self> {
        let started = Arc::new(Mutex::new(Vec::new()));
        let to_stop = Arc::clone(&started);
        ctrlc::set_handler(move || {
            stop(&to_stop);
            // What a shell reports for a program that SIGINT ended.
            process::exit(130);
        })
        .context("cannot watch for Ctrl-C")?;
        Ok(Self { started, asked: AtomicBool::new(false) })
    }

    pub(crate) fn were_started(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Starts those that do not run, and tells the tests where all of them are. One that does not
    /// start does not keep the others from starting: the tests that need it will fail and say so.
    pub(crate) fn start(&self, workspace: &mut Workspace) -> Result<Totals> {
        self.asked.store(true, Ordering::Relaxed);
        let mut problems = Vec::new();
        for &service in Service::ALL {
            match self.find_or_start(service) {
                Ok(url) => workspace.set_variable(service.variable(), url),
                Err(problem) => problems.push(format!("{service}: {problem:#}")),
            }
        }
        if !problems.is_empty() {
            bail!("{}", problems.join("\n"));
        }
        Ok(Totals::default())
    }

    fn find_or_start(&self, service: Service) -> Result<String> {
        if let Ok(url) = service.url() {
            println!("    {service} runs: {url}");
            return Ok(url);
        }
        println!("    starting {service}");
        // Noted first: an interrupt while it starts stops it too.
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push(service);
        let url = service.up()?;
        println!("    {service} runs: {url}");
        Ok(url)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        stop(&self.started);
    }
}

fn stop(started: &Mutex<Vec<Service>>) {
    for service in started.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        match service.down() {
            Ok(true) => println!("    stopped {service}"),
            Ok(false) => {}
            Err(problem) => eprintln!("    {service} could not be stopped: {problem:#}"),
        }
    }
}
